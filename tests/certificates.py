"""A certificate that nobody knows, as of a company's own authority."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path) -> Path:
    """One for localhost, `cert.pem` beside its `key.pem`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program to make a certificate")
    arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2"
    certificate = folder / "cert.pem"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
    subprocess.run(
        [openssl, *arguments.split(), *subject.split(), *files],
        check=True,
        capture_output=True,
    )
    return certificate


def serving_with(certificate: Path) -> ssl.SSLContext:
    """A server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context
