"""Who answers? nginx with its Lua module: not ours, and not the bottleneck.

Starts a fresh server for each run, so that no run meets the limits of another, and
reads its log afterwards. Knows workloads.
"""

import dataclasses
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workloads import Workload

HERE = Path(__file__).parent / "server"
MODULES = Path("/usr/lib/nginx/modules")
NEEDED = {
    "nginx": Path("/usr/sbin/nginx"),
    "libnginx-mod-http-lua": MODULES / "ngx_http_lua_module.so",
    "openssl": Path("/usr/bin/openssl"),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A running server: where it listens, its certificate, its log and its CPU."""

    base_url: str
    certificate: Path
    log: Path
    pid: int

    def cpu_s(self) -> float:
        """Return the seconds of CPU it has used; the system's ticks of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A line of the server's log; times in Unix seconds."""

    came_unix_s: float
    left_unix_s: float
    status: int
    item: str
    charged_tokens: int


def require_packages() -> None:
    """Name the Debian packages that are missing, and exit."""
    missing = [name for name, path in NEEDED.items() if not path.exists()]
    if missing:
        sys.exit(f"the server of the benchmarks needs: apt install {' '.join(missing)}")


@contextmanager
def serving(workload: Workload, folder: Path) -> Iterator[Provider]:
    """Serve `workload` on a free port of the loopback until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = _certificate(folder) if workload.is_tls else Path()
    port = _free_port()
    (folder / "nginx.conf").write_text(_conf(workload, port, folder))
    command = [str(NEEDED["nginx"]), "-p", str(folder), "-c", "nginx.conf"]
    with (folder / "nginx.out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        _wait_until_open(port, process, folder)
        scheme = "https" if workload.is_tls else "http"
        yield Provider(
            base_url=f"{scheme}://127.0.0.1:{port}/v1",
            certificate=certificate,
            log=folder / "requests.log",
            pid=process.pid,
        )
    finally:
        process.terminate()
        process.wait()


def read_log(path: Path) -> list[Answer]:
    """Read what was answered, in order of arrival."""
    answers = []
    for line in path.read_text().splitlines():
        left, took, status, item, charged = line.split(" ")
        answers.append(
            Answer(
                came_unix_s=float(left) - float(took),
                left_unix_s=float(left),
                status=int(status),
                item=item,
                charged_tokens=int(charged),
            )
        )
    return sorted(answers, key=lambda answer: answer.came_unix_s)


def version() -> str:
    """Return nginx's version, as it says it."""
    said = subprocess.run(
        [str(NEEDED["nginx"]), "-v"], capture_output=True, text=True, check=True
    )
    return said.stderr.strip().rpartition("/")[2]


def _conf(workload: Workload, port: int, folder: Path) -> str:
    tls = workload.is_tls
    certificate = f"ssl_certificate {folder}/cert.pem; "
    certificate += f"ssl_certificate_key {folder}/key.pem;"
    words = {
        "@HERE@": str(HERE),
        "@SETTINGS@": workload.lua_settings(),
        "@PORT@": str(port),
        "@TLS@": "ssl" if tls else "",
        "@CERTIFICATE@": certificate if tls else "",
    }
    text = (HERE / "nginx.conf").read_text()
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _certificate(folder: Path) -> Path:
    """Make a certificate for the loopback that contestants can be told to trust."""
    target = folder / "cert.pem"
    command = [shutil.which("openssl") or "openssl", "req", "-x509", "-nodes"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-days", "7", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_open(
    port: int, process: subprocess.Popen[bytes], folder: Path, limit_s: float = 10
) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nginx did not start; {folder}/nginx.out says why")
