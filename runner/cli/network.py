"""By what way, and how openly, does a key travel to a server?

Floor: faces. Reads the environment; sends nothing.
"""

import ipaddress
from urllib.parse import urlsplit

from runner.proxies import proxy_for

_PRIVATE_ENDINGS = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
"""Names that no public server has: RFC 6762, 6761, 8375, and ICANN's .internal."""


def proxy_of(base_url: str) -> str | None:
    """The proxy the environment names for that server, without its password."""
    proxy = proxy_for(base_url)
    if proxy is None:
        return None
    scheme, _, address = proxy.partition("://")
    return f"{scheme}://{address.rpartition('@')[2].rstrip('/')}"


def is_open_to_all(base_url: str) -> bool:
    """Whether key and items would travel unencrypted through foreign networks."""
    scheme, host = _split(base_url)
    return scheme == "http" and not _is_private(host)


def _split(base_url: str) -> tuple[str, str]:
    """Scheme and host; empty where the URL is none (refused later, in words)."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return "", ""
    return parts.scheme.lower(), (parts.hostname or "").lower()


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_ENDINGS)
    return address.is_private or address.is_loopback or address.is_link_local
