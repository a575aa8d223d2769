"""How does the provider word a no?

Owns every error body. Shapes and wording: OpenAI's error-codes and rate-limits
guides and its Python SDK's issue threads, as read in November 2026.

Floor: simulator. Knows wire.
"""

from dataclasses import dataclass, field

from runner.simulator.wire import JsonObject, encode

JSON = "application/json"
HTML = "text/html; charset=utf-8"

_PAGE = b"""<!DOCTYPE html>
<html><head><title>Gateway</title></head>
<body><h1>The gateway could not complete your request</h1></body></html>
"""
_HELP = "You can find your API key at https://platform.openai.com/account/api-keys."
_LONG_KEY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reply that is not an answer."""

    outcome: str
    """Its word in the ledger."""
    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    authorized: bool = True


class Rejected(Exception):
    """A request that the API does not accept."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.outcome)
        self.refusal = refusal


def error_body(
    message: str, kind: str, code: str | None = None, param: str | None = None
) -> bytes:
    """The body of every OpenAI error."""
    error: JsonObject = {"message": message, "type": kind, "param": param, "code": code}
    return encode({"error": error})


def rejected(
    message: str, code: str | None = None, param: str | None = None
) -> Refusal:
    """A 400: this request never succeeds."""
    body = error_body(message, "invalid_request_error", code, param)
    return Refusal(outcome="rejected", status=400, body=body)


def wrong_key(key: str | None) -> Refusal:
    """A 401 that echoes the key, masked, as OpenAI does."""
    if key:
        message = f"Incorrect API key provided: {masked(key)}. {_HELP}"
        body = error_body(message, "invalid_request_error", "invalid_api_key")
    else:
        message = (
            "You didn't provide an API key. You need to provide your API key in an"
            " Authorization header using Bearer auth (i.e. Authorization: Bearer"
            f" YOUR_KEY). {_HELP}"
        )
        body = error_body(message, "invalid_request_error")
    return Refusal(outcome="denied", status=401, body=body, authorized=False)


def masked(key: str) -> str:
    """A key as an error message shows it: its ends and stars."""
    shown = (8, 4) if len(key) >= _LONG_KEY else (2, 1)
    stars = "*" * max(1, len(key) - sum(shown))
    return key[: shown[0]] + stars + key[-shown[1] :]


def empty_account() -> Refusal:
    """A 429 that waiting does not help against."""
    message = (
        "You exceeded your current quota, please check your plan and billing details."
        " For more information on this error, read the docs:"
        " https://platform.openai.com/docs/guides/error-codes/api-errors."
    )
    body = error_body(message, "insufficient_quota", "insufficient_quota")
    return Refusal(outcome="denied", status=429, body=body)


def spend_limit() -> Refusal:
    """A 429 because the organization's own monthly limit is reached."""
    message = "Your organization has reached its monthly spend limit."
    code = "organization_spend_limit_exceeded"
    body = error_body(message, "insufficient_quota", code)
    return Refusal(outcome="denied", status=429, body=body)


def deactivated() -> Refusal:
    """A 401 although the key is right."""
    message = (
        "The OpenAI account associated with this API key has been deactivated. If you"
        " are the owner of this account and believe this is an error, please contact us"
        " through our help center at help.openai.com."
    )
    body = error_body(message, "invalid_request_error", "account_deactivated")
    return Refusal(outcome="denied", status=401, body=body, authorized=False)


def too_long(most: int, tokens: int) -> Refusal:
    """A 400 for a prompt beyond the model's context."""
    message = (
        f"This model's maximum context length is {most} tokens. However, your messages"
        f" resulted in {tokens} tokens. Please reduce the length of the messages."
    )
    return rejected(message, "context_length_exceeded", "messages")


def unknown_model(model: str) -> Refusal:
    """A 404 in the provider's own shape."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    body = error_body(message, "invalid_request_error", "model_not_found")
    return Refusal(outcome="unknown_model", status=404, body=body)


def unknown_address(method: str, path: str) -> Refusal:
    """A 404 for a path the API does not have."""
    message = f"Invalid URL ({method} {path})"
    body = error_body(message, "invalid_request_error")
    return Refusal(outcome="unknown_address", status=404, body=body)


def throttled(kind: str, message: str, headers: dict[str, str]) -> Refusal:
    """A 429 that waiting does help against."""
    body = error_body(message, kind, "rate_limit_exceeded")
    return Refusal(outcome="rate_limited", status=429, body=body, headers=headers)


def page(outcome: str, status: int) -> Refusal:
    """An HTML page of something between client and provider."""
    return Refusal(outcome=outcome, status=status, body=_PAGE, content_type=HTML)


def outage(status: int) -> Refusal:
    """The provider is down, and says so itself."""
    return Refusal(outcome="outage", status=status, body=_SERVER_ERRORS[status])


def fault(name: str, path: str) -> Refusal:
    """The reply of an unbilled fault of that name."""
    if name == "html":
        return page(name, 200)
    if name == "redirect":
        headers = {"location": path}
        return Refusal(outcome=name, status=307, body=b"", headers=headers)
    status, body, headers = _FAULTS[name]
    return Refusal(outcome=name, status=status, body=body, headers=dict(headers))


def _server_error(text: str) -> bytes:
    return error_body(text, "server_error")


_SERVER_ERRORS = {
    500: _server_error(
        "The server had an error while processing your request. Sorry about that!"
    ),
    503: _server_error("The server is temporarily unable to handle your request."),
}
_OVERLOADED = error_body(
    "Our servers are currently overloaded. Please try again later.",
    "service_unavailable_error",
    "server_is_overloaded",
)
_SLOW_DOWN = error_body(
    "Your request rate increased too quickly. Please reduce it to its original level,"
    " keep it for at least 15 minutes, and then increase it gradually.",
    "requests",
    "slow_down",
)
_AT_RANDOM = error_body(
    "Rate limit reached for requests. Please try again in 1s.",
    "requests",
    "rate_limit_exceeded",
)
_TOO_LONG = error_body(
    "This model's maximum context length is exceeded. Please reduce the length of the"
    " messages.",
    "invalid_request_error",
    "context_length_exceeded",
    "messages",
)
_ONE_SECOND = {"retry-after": "1", "retry-after-ms": "1000"}
_FAULTS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "error_500": (500, _SERVER_ERRORS[500], {}),
    "error_503": (503, _SERVER_ERRORS[503], {}),
    "slow_down": (429, _SLOW_DOWN, {}),
    "overloaded": (503, _OVERLOADED, {}),
    "rate_limited_at_random": (429, _AT_RANDOM, _ONE_SECOND),
    "bad_request": (400, _TOO_LONG, {}),
    "error_in_200": (200, _SERVER_ERRORS[500], {}),
    "error_string": (500, encode({"error": "upstream connect error"}), {}),
}
