"""Is this item an OpenAI Batch-API request?

Such a line carries its own request and needs no prompt. The shape is that of
"The request input object" in OpenAI's Batch API reference.
Floor: room (itemfile); knows records.
"""

from runner.records import JsonObject


def is_batch_line(fields: JsonObject) -> bool:
    """True for `custom_id` (a string), `POST`, a `/v1/` url and a `body` object."""
    if fields.get("method") != "POST":
        return False
    url = fields.get("url")
    return (
        isinstance(fields.get("custom_id"), str)
        and isinstance(url, str)
        and url.startswith("/v1/")
        and isinstance(fields.get("body"), dict)
    )
