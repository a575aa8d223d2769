import pytest
import requests
from simulator_bench import Bench


@pytest.mark.parametrize(
    ("account", "status", "code"),
    [
        ("empty", 429, "insufficient_quota"),
        ("spend_limit", 429, "organization_spend_limit_exceeded"),
        ("deactivated", 401, "account_deactivated"),
    ],
)
def test_an_account_can_be_out_of_money_or_closed(
    bench: Bench, account: str, status: int, code: str
) -> None:
    bench.set(f"account={account}")
    reply = bench.ask()

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert bench.ledger()[0]["outcome"] == "denied"


def test_a_wrong_key_is_echoed_masked_and_kept_out_of_the_ledger(bench: Bench) -> None:
    bench.set("key=sk-the-right-one")
    wrong = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    reply = bench.ask(headers={"authorization": f"Bearer {wrong}"})
    error = reply.json()["error"]

    assert (reply.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["message"].startswith(
        "Incorrect API key provided: sk-proj-**********************wxyz. You can find"
    )
    assert bench.ledger()[0]["authorized"] is False
    ledger = bench.ledger_path.read_text()
    assert not [part for part in (wrong, wrong[:8], wrong[-4:]) if part in ledger]


def test_the_right_key_is_let_in_and_none_is_not(bench: Bench) -> None:
    bench.set("key=sk-the-right-one")
    right = {"authorization": "Bearer sk-the-right-one"}

    assert bench.ask(headers=right).status_code == 200
    assert "You didn't provide an API key" in bench.ask().json()["error"]["message"]
    assert [line["authorized"] for line in bench.ledger()] == [True, False]
    models = f"{bench.simulator.base_url}/models"
    assert requests.get(models).status_code == 401
    assert requests.get(models, headers=right).status_code == 200


def test_a_model_can_be_unknown(bench: Bench) -> None:
    bench.set(f"unknown_model={bench.model}|gpt-4o")
    reply = bench.ask()

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    assert bench.ledger()[0]["outcome"] == "unknown_model"
    url = f"{bench.simulator.base_url}/models/"
    assert requests.get(url + "gpt-4o").status_code == 404
    assert requests.get(url + "gpt-4o-mini").status_code == 200


def test_only_models_with_a_price_are_known_when_strict(bench: Bench) -> None:
    assert bench.ask().status_code == 200
    bench.set("strict_models=1")

    assert bench.ask().status_code == 404
    assert bench.ask(model="gpt-4o-mini").status_code == 200


@pytest.mark.parametrize("outage", ["500", "503"])
def test_an_outage_answers_everything_alike_until_it_is_lifted(
    bench: Bench, outage: str
) -> None:
    bench.set(f"outage={outage}")
    assert bench.ask().status_code == int(outage)
    models = requests.get(f"{bench.simulator.base_url}/models")
    assert models.status_code == int(outage)
    bench.set("")

    assert bench.ask().status_code == 200
    assert [line["outcome"] for line in bench.ledger()] == ["outage", "answer"]


@pytest.mark.parametrize("status", [502, 403, 200])
def test_a_proxy_can_answer_with_its_own_page(bench: Bench, status: int) -> None:
    bench.set(f"outage=proxy_html,proxy_status={status}")
    reply = bench.ask()

    assert reply.status_code == status
    assert reply.headers["content-type"].startswith("text/html")


def test_a_server_can_hang_for_everybody(bench: Bench) -> None:
    bench.set("outage=hang")

    with pytest.raises(requests.ReadTimeout):
        bench.ask(timeout=0.3)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{bench.simulator.base_url}/models", timeout=0.3)
    line = bench.ledger()[0]
    assert (line["outcome"], line["status"], line["billed"]) == ("outage", None, False)


def test_a_server_can_refuse_connections_and_come_back(bench: Bench) -> None:
    """The connection kept open from before is closed, not answered."""
    assert bench.ask().status_code == 200
    for _ in range(2):
        bench.set("outage=refuse")
        for session in (bench.session, requests.Session()):
            bench.session = session
            with pytest.raises(requests.ConnectionError, match="refused"):
                bench.ask()
        bench.set("")
        assert bench.ask().status_code == 200


def test_the_control_routes_say_where_and_how_and_refuse_nonsense(bench: Bench) -> None:
    control = bench.simulator.control_url
    about = requests.get(control).json()

    assert about["base_url"] == bench.simulator.base_url
    assert about["control_url"] == control
    assert about["pid"] == bench.simulator.pid
    assert about["scenario"]["latency"] == 0.0
    reply = requests.post(f"{control}/scenario", json={"rmp": 3})
    assert reply.status_code == 400
    assert "did you mean rpm?" in reply.json()["error"]["message"]
    assert requests.post(f"{control}/scenario", data=b"[").status_code == 400
    assert requests.get(f"{control}/else").status_code == 404


def test_control_is_reachable_on_the_api_port_too_and_never_counts(
    bench: Bench,
) -> None:
    before = bench.stats()
    root = bench.simulator.base_url.removesuffix("/v1")

    assert requests.get(f"{root}/simulator/stats").json() == before
    bench.ask()
    after = bench.stats()
    assert after["requests"] == before["requests"] + 1
    assert after["answers"] == before["answers"] + 1
    assert after["max_concurrent"] >= 1
    assert after["by_outcome"]["answer"] == after["answers"]
