"""Does anything answer at the base URL? Asked once, before a run is created.

No key is sent: any HTTP answer at all is a yes. A simulated server is recognised
by the prices it lists, and only on this machine.

Floor: rules for the work. The one door to requests.
"""

import ipaddress
import ssl
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

import requests

from runner.config import Price
from runner.errors import EndpointError
from runner.proxies import proxy_for
from runner.records import PATHS

_TIMEOUT_S = 10.0
_NOT_FOUND = 404
_ENDPOINTS = (*PATHS.values(), "/completions")
_PRICES = "simulated_prices_usd_per_million"


def check_base_url(base_url: str) -> None:
    """EndpointError if this is not an http(s) URL with a host."""
    try:
        parts = urlsplit(base_url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_usable &= parts.port != 0 and not parts.query and not parts.fragment
        is_usable &= not any(c.isspace() or not c.isprintable() for c in base_url)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise EndpointError(
            f"{base_url!r} is not a base URL", "for example https://api.openai.com/v1"
        )
    if parts.username or parts.password:
        raise EndpointError(
            "the base URL holds a password",
            "give the key in OPENAI_API_KEY, or with --api-key-file",
        )
    _refuse_endpoint(base_url)


def _refuse_endpoint(base_url: str) -> None:
    """EndpointError for the address of one endpoint: a path is put behind that."""
    bare = base_url.rstrip("/")
    for path in _ENDPOINTS:
        if urlsplit(bare).path.endswith(path):
            raise EndpointError(
                f"{base_url} is where {path} is asked, not a base URL",
                f"give the part before it: {bare.removesuffix(path)}",
            )


def probe(base_url: str) -> dict[str, Price]:
    """Ask the server for its models; EndpointError if nothing answers.

    Returns the simulated prices by model, where a server on this machine lists
    any; else nothing.
    """
    check_base_url(base_url)
    response = _models(base_url)
    if response.status_code == _NOT_FOUND:
        _look_below(base_url)
    return _simulated_prices(response) if is_on_this_machine(base_url) else {}


def _models(base_url: str) -> requests.Response:
    try:
        with requests.Session() as session:
            # By the same way as the workers: requests' own rules for NO_PROXY differ.
            session.trust_env = False
            proxy = proxy_for(base_url)
            return session.get(
                f"{base_url.rstrip('/')}/models",
                timeout=_TIMEOUT_S,
                allow_redirects=False,
                verify=_authorities(),
                proxies={"http": proxy, "https": proxy} if proxy else {},
            )
    except requests.exceptions.SSLError as error:
        raise EndpointError(
            f"no encrypted connection to {base_url} ({_cause(error)})",
            _tls_hint(base_url, error),
        ) from error
    except requests.RequestException as error:
        raise EndpointError(
            f"nothing answers at {base_url} ({_cause(error)})",
            "check --base-url (or OPENAI_BASE_URL) and the network",
        ) from error


def _authorities() -> str | bool:
    """Whose certificates are trusted: as the workers' client does, not as requests.

    That would look into REQUESTS_CA_BUNDLE or its own list: a start would pass, and
    each call of the night would fail, or the other way round.
    """
    paths = ssl.get_default_verify_paths()  # SSL_CERT_FILE, SSL_CERT_DIR, the system's
    return paths.cafile or paths.capath or True


def _tls_hint(base_url: str, error: BaseException) -> str:
    # What OpenSSL finds where an answer of HTTP begins, and not one of TLS.
    if getattr(_innermost(error), "reason", None) == "WRONG_VERSION_NUMBER":
        plain = base_url[len("https") :]
        return f"the server speaks plain HTTP there: use http{plain}"
    return "for a certificate of your own authority set SSL_CERT_FILE to its file"


def _look_below(base_url: str) -> None:
    """EndpointError if the models that are not here are below `/v1`.

    A server that lists none anywhere is left alone: many have no such path.
    """
    below = f"{base_url.rstrip('/')}/v1"
    # 401 and 403: the path is there, and wants the key that is not sent here.
    if _models(below).status_code in (200, 401, 403):
        raise EndpointError(
            f"{base_url} has no API (404 for /models)", f"did you mean {below}?"
        )


def is_on_this_machine(base_url: str) -> bool:
    """Whether the URL names the loopback interface."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _simulated_prices(response: requests.Response) -> dict[str, Price]:
    try:
        models = response.json()["data"]
        return {
            model["id"]: Price(
                input_usd=Decimal(model[_PRICES]["input"]),
                cached_input_usd=Decimal(model[_PRICES]["cached_input"]),
                output_usd=Decimal(model[_PRICES]["output"]),
            )
            for model in models
        }
    except (ValueError, KeyError, TypeError, InvalidOperation):
        # Some other local server: its model list has no prices.
        return {}


def _cause(error: BaseException) -> str:
    """The innermost cause, in its own words: requests wraps them several deep."""
    error = _innermost(error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
