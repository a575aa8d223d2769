"""Through which proxy does a base URL go? As the SDK's own client would choose.

The SDK leaves this to httpx2, which only does it when it also builds the
connections. The rules are httpx2's (`get_environment_proxies`, 2.16): variables
by `urllib`, NO_PROXY by suffix, address, network, scheme or port. They stand here,
and not in the client, so that what a start tells is what its workers do.

Floor: words. Reads the environment; knows nobody.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies


def proxy_for(base_url: str) -> str | None:
    """Return the proxy's URL; None: straight to the server.

    Args:
        base_url: absolute, with a host.

    Raises:
        ValueError: It is no URL.
    """
    url = urlsplit(base_url)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    exempt = [entry.strip() for entry in proxies.get("no", "").split(",")]
    if not proxy or "*" in exempt:
        return None
    if any(_covers(entry, url) for entry in exempt if entry):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _covers(entry: str, url: SplitResult) -> bool:
    host = url.hostname or ""
    address = _address(host)
    network = _network(entry)
    if network is not None:
        return address is not None and address in network
    if _address(entry) is not None:  # before the split: colons in "::1" are no port
        return address == _address(entry)
    try:
        parts = urlsplit(entry if "://" in entry else f"any://{entry}")
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("any", "all", url.scheme):
        return False
    if port is not None and port != _port(url):
        return False
    is_exact = "://" in entry or entry.lower() == "localhost"
    return _covers_host((parts.hostname or "").lower(), host, is_exact=is_exact)


def _covers_host(pattern: str, host: str, *, is_exact: bool) -> bool:
    if is_exact or _address(pattern) is not None:
        return host == pattern
    suffix = pattern.lstrip("*").lstrip(".")
    if not suffix:
        return False
    # `.example.com` leaves the domain itself out, `example.com` does not.
    takes_itself = not pattern.lstrip("*").startswith(".")
    return host.endswith(f".{suffix}") or (takes_itself and host == suffix)


def _port(url: SplitResult) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in entry or "://" in entry:
        return None
    try:
        return ipaddress.ip_network(entry.replace("[", "").replace("]", ""), False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
