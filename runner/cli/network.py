"""By what way, and how openly, does a key travel to a server?

Floor: cli. Reads the environment; sends nothing.
"""

import ipaddress
import urllib.request
from urllib.parse import urlsplit

_PRIVATE_ENDINGS = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
"""Names that no public server has: RFC 6762, 6761, 8375, and ICANN's .internal."""


def proxy_of(base_url: str) -> str | None:
    """The proxy the environment names for that server, without its password."""
    parts = _split(base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts[0]) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(parts[1]):
        return None
    address = proxy.rpartition("@")[2].partition("://")
    scheme = urlsplit(proxy).scheme if "://" in proxy else "http"
    return f"{scheme}://{(address[2] or address[0]).rstrip('/')}"


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
