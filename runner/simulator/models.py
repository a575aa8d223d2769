"""Which models are there?

Owns the documents of `/v1/models`, the simulated prices in them.

Floor: simulator. Knows prices and wire.
"""

from collections.abc import Callable

from runner.simulator.prices import PRICES, prices_json
from runner.simulator.wire import JsonObject

_SINCE_UNIX_S = 1_790_000_000


def models_json(is_known: Callable[[str], bool]) -> JsonObject:
    """The list of all models with a price, unknown ones left out."""
    names = [name for name in PRICES if is_known(name)]
    return {"object": "list", "data": [_model(name) for name in names]}


def model_json(name: str, is_known: Callable[[str], bool]) -> JsonObject | None:
    """One model; None if requests for it get a 404."""
    return _model(name) if is_known(name) else None


def _model(name: str) -> JsonObject:
    return {
        "id": name,
        "object": "model",
        "created": _SINCE_UNIX_S,
        "owned_by": "simulator",
        "simulated_prices_usd_per_million": prices_json(name),
    }
