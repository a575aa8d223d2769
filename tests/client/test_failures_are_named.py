"""What each kind of refusal is taken for: bodies as real servers send them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.client.flights import Flight
from runner.client.replies import failure_in
from runner.records import Failure, FailureKind

DENIED = FailureKind.DENIED
NOT_FOUND = FailureKind.NOT_FOUND
REJECTED = FailureKind.REJECTED
THROTTLED = FailureKind.THROTTLED
SLOW_DOWN = FailureKind.SLOW_DOWN
SERVER = FailureKind.SERVER
GARBLED = FailureKind.GARBLED

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def failure(
    status: int, body: bytes | dict[str, Any] | list[Any], *, has_answers: bool = False
) -> Failure:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    flight = Flight(0.0, 60.0, None)
    flight.has_answers = lambda: has_answers
    found = failure_in(status, content, flight)
    assert found is not None
    return found


def openai(message: str = "m", **inner: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, **inner}}


@pytest.mark.parametrize(
    "code",
    [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    ],
)
@pytest.mark.parametrize("name", ["code", "type"])
def test_an_empty_account_is_not_a_rate_limit(code: str, name: str) -> None:
    found = failure(429, openai("You exceeded your current quota", **{name: code}))
    assert (found.kind, found.code) == (DENIED, code)
    assert "out of credit or at its spending limit" in found.message


TOO_LARGE = (
    "Request too large for gpt-4o in organization org-x on tokens per min (TPM): "
    "Limit 30000, Requested 35000."
)
MODERATED = "google/gemma requires moderation on OpenInference. Your input was flagged"
NO_CREDIT = "Your credit balance is too low to access the Anthropic API."
UNKNOWN_MODEL = "The model `gpt-9` does not exist or you do not have access to it."


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # Rate limits.
        (429, openai(code="rate_limit_exceeded", type="tokens"), THROTTLED),
        (429, openai("Resource Unavailable"), THROTTLED),
        (429, HTML, THROTTLED),
        (429, b"", THROTTLED),
        (498, openai("Flex tier capacity exceeded"), THROTTLED),
        (429, openai(code="slow_down"), SLOW_DOWN),
        (503, openai(code="slow_down"), SLOW_DOWN),
        (
            503,
            openai(code="server_is_overloaded", type="service_unavailable_error"),
            SLOW_DOWN,
        ),
        (429, openai(TOO_LARGE, code="rate_limit_exceeded", type="tokens"), REJECTED),
        (413, openai(TOO_LARGE, code="rate_limit_exceeded", type="tokens"), REJECTED),
        # Key, account, model.
        (401, openai(code="invalid_api_key"), DENIED),
        (401, b"", DENIED),
        (401, HTML, DENIED),
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, DENIED),
        (400, [{"error": {"code": 400, "message": "API key not valid"}}], DENIED),
        (400, openai("API key expired. Please renew it."), DENIED),
        (400, openai(NO_CREDIT, type="invalid_request_error"), DENIED),
        (400, openai("Budget has been exceeded! Cost: 1.2"), DENIED),
        (400, openai(code="Arrearage"), DENIED),
        (400, openai(type="budget_exceeded"), DENIED),
        (429, openai(type="exceeded_current_quota_error"), DENIED),
        (400, openai("messages.0: 'your credit balance is too low'"), REJECTED),
        (403, openai(code="unsupported_country_region_territory"), DENIED),
        (403, {"error": {"code": 403, "message": MODERATED}}, REJECTED),
        (404, openai(UNKNOWN_MODEL, code="model_not_found"), NOT_FOUND),
        (400, openai(UNKNOWN_MODEL, code="model_not_found"), NOT_FOUND),
        (404, openai("Invalid URL (POST /v1/chat)"), NOT_FOUND),
        (404, {"detail": "Not Found"}, NOT_FOUND),
        (404, {"error": "model 'x' not found, try pulling it first"}, NOT_FOUND),
        (
            404,
            {
                "object": "error",
                "message": "no x",
                "type": "NotFoundError",
                "code": 404,
            },
            NOT_FOUND,
        ),
        (307, b"", NOT_FOUND),
        (302, HTML, NOT_FOUND),
        (407, HTML, DENIED),
        # A proxy or portal in between.
        (403, HTML, SERVER),
        # Or the base URL is wrong.
        (404, HTML, NOT_FOUND),
        (405, b"", NOT_FOUND),
        (404, b"404 page not found", NOT_FOUND),
        (404, {"timestamp": 1, "status": 404, "error": "Not Found"}, NOT_FOUND),
        (403, {"message": "Forbidden"}, SERVER),
        # The request itself.
        (400, openai(code="context_length_exceeded"), REJECTED),
        (400, openai(code=None, type="invalid_request_error"), REJECTED),
        (413, HTML, REJECTED),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, REJECTED),
        # The server.
        (408, openai(), SERVER),
        (409, openai(), SERVER),
        (500, openai(), SERVER),
        (502, HTML, SERVER),
        (503, b"no healthy upstream", SERVER),
        (504, HTML, SERVER),
        (418, b"", SERVER),
        (599, b"\xff\xfe", SERVER),
        (529, openai(type="overloaded_error"), SLOW_DOWN),
        (500, openai(code="insufficient_quota"), DENIED),
    ],
)
def test_a_refusal_is_taken_for_what_it_is(
    status: int, body: bytes | dict[str, Any] | list[Any], kind: FailureKind
) -> None:
    assert failure(status, body).kind == kind


@pytest.mark.parametrize("status", [302, 404, 405, 410])
def test_an_address_that_has_answered_is_the_right_one(status: int) -> None:
    """A passing trouble of a balancer or portal: waited for, and no item is blamed."""
    assert failure(status, HTML, has_answers=False).kind == NOT_FOUND
    assert failure(status, HTML, has_answers=True).kind == SERVER


@pytest.mark.parametrize(
    ("body", "kind", "is_billed"),
    [
        ({"error": {"code": 402, "message": "no credits"}}, DENIED, False),
        ({"error": {"code": 429, "message": "Rate limited"}}, THROTTLED, False),
        ({"error": {"code": 502, "message": "Provider down"}}, SERVER, False),
        ({"error": {"code": 504, "message": "Provider late"}}, SERVER, True),
        ({"error": {"code": "insufficient_quota"}}, DENIED, False),
        ({"error": {"code": 400, "message": "bad"}}, REJECTED, False),
        ({"error": "Unexpected endpoint or method"}, GARBLED, True),
        ({"error": {"message": "?"}}, GARBLED, True),
        ({"error": {"code": "server_error"}, "status": "failed"}, SERVER, True),
        ({"error": {"code": "invalid_prompt"}, "status": "failed"}, REJECTED, False),
        ({"object": "error", "message": "x", "code": 400}, REJECTED, False),
        ([1, 2], GARBLED, True),
        (b"", GARBLED, True),
        (b"null", GARBLED, True),
        (b'"text"', GARBLED, True),
        (HTML, GARBLED, True),
        (b'{"choices": [', GARBLED, True),
        (b"\xff\xfe{}", GARBLED, True),
        (b"[" * 100_000, GARBLED, True),
    ],
)
def test_a_200_without_an_answer_is_none(
    body: bytes | dict[str, Any] | list[Any], kind: FailureKind, *, is_billed: bool
) -> None:
    found = failure(200, body)
    assert (found.kind, found.possibly_billed) == (kind, is_billed)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"error": None, "output": []},
        {"error": "", "choices": []},
        {"error": {}, "choices": []},
        {"error": {"message": "", "type": "", "code": None}, "choices": []},
        {"detail": "a field of some other endpoint"},
    ],
)
def test_an_object_without_an_error_is_an_answer(body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    assert failure_in(200, content, Flight(0.0, 60.0, None)) is None


def test_only_a_redirect_is_told_by_where_it_leads() -> None:
    """An empty account is one, also where a portal's `Location` stands beside it."""
    flight = Flight(0.0, 60.0, None)
    flight.headers = [("location", "https://elsewhere.example/billing")]
    body = json.dumps(openai(code="insufficient_quota")).encode()
    found = failure_in(429, body, flight)
    assert found is not None
    assert found.kind is DENIED
    assert found.code == "insufficient_quota"


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_gateway_that_gave_up_may_have_cost(status: int) -> None:
    assert failure(status, HTML).possibly_billed


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 502, 503])
def test_a_refusal_costs_nothing(status: int) -> None:
    assert not failure(status, openai()).possibly_billed


def test_the_message_says_what_it_means_and_what_the_server_said() -> None:
    found = failure(429, openai("You exceeded your quota", code="insufficient_quota"))
    assert found.message == (
        "the account is out of credit or at its spending limit "
        "(HTTP 429, insufficient_quota): You exceeded your quota"
    )
    page = failure(502, HTML)
    assert page.message == "the server failed (HTTP 502): 502 Bad Gateway"
    nested = failure(200, {"error": {"code": 402, "message": "no credits"}})
    expected = "the account is out of credit (HTTP 200, 402 inside): no credits"
    assert nested.message == expected


def test_a_redirect_names_where_to_but_no_query() -> None:
    flight = Flight(0.0, 60.0, None)
    flight.headers = [("location", "https://login.example.com/?token=abc")]
    found = failure_in(302, b"", flight)
    assert found is not None
    assert "to https://login.example.com/" in found.message
    assert "abc" not in found.message


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.sampled_from(["error", "detail", "message", "object", "code", "type"])
ERRORS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON))


@given(status=st.integers(100, 599), body=st.binary() | ERRORS.map(json.dumps))
def test_any_reply_is_an_answer_or_one_kind_of_failure(
    status: int, body: bytes | str
) -> None:
    """Whatever the bytes: nothing raises, and only a 2xx can be an answer."""
    content = body if isinstance(body, bytes) else body.encode()
    found = failure_in(status, content, Flight(0.0, 60.0, None))
    assert found is None or isinstance(found.kind, FailureKind)
    assert found is not None or 200 <= status < 300
