"""Does anything answer at the base URL? Asked once, before a run is created.

No key is sent: any HTTP answer at all is a yes. A simulated server is recognised
by the prices it lists, and only on this machine.

Floor: doors and rules. The one door to requests.
"""

import ipaddress
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

import requests

from runner.config import Price
from runner.errors import EndpointError

_TIMEOUT_S = 10.0
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
        raise EndpointError("the base URL holds a password", "give the key apart")


def probe(base_url: str) -> dict[str, Price]:
    """Ask the server for its models; EndpointError if nothing answers.

    Returns the simulated prices by model, where a server on this machine lists
    any; else nothing.
    """
    check_base_url(base_url)
    try:
        response = requests.get(
            f"{base_url.rstrip('/')}/models", timeout=_TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException as error:
        raise EndpointError(
            f"nothing answers at {base_url} ({_cause(error)})",
            "check --base-url (or OPENAI_BASE_URL) and the network",
        ) from error
    return _simulated_prices(response) if is_on_this_machine(base_url) else {}


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
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
