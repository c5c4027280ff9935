"""What may be kept of a request: what its model has, and no secret wherever it stands."""

from __future__ import annotations

from typing import Any

from fogbank.gateway.redact import HIDDEN, top_filter, without_hidden
from fogbank.wire.model import ServiceModel, load


def kept(shapes: dict[str, Any], value: dict[str, Any]) -> Any:
    """Return what is kept of the input of an operation whose shapes are made up."""
    raw = {
        "metadata": load("dynamodb").metadata,
        "operations": {"Tell": {"name": "Tell", "http": {}, "input": {"shape": "TellInput"}}},
        "shapes": {
            "Text": {"type": "string"},
            "Word": {"type": "string", "sensitive": True},
            **shapes,
        },
    }
    model = ServiceModel("made-up", raw, {}, load("dynamodb").settings)
    return top_filter(model.operations["Tell"].input_ref)(value)


def test_a_member_that_no_model_has_is_not_kept() -> None:
    shapes = {
        "TellInput": {"type": "structure", "members": {"Name": {"shape": "Text"}}},
    }
    assert kept(shapes, {"Name": "a", "Nobody": "knows what"}) == {"Name": "a"}


def test_a_map_whose_keys_are_secret_is_hidden_whole() -> None:
    shapes = {
        "TellInput": {
            "type": "structure",
            "members": {"Plain": {"shape": "Plain"}, "Told": {"shape": "Told"}},
        },
        "Plain": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Text"}},
        "Told": {"type": "map", "key": {"shape": "Word"}, "value": {"shape": "Text"}},
    }
    given = {"Plain": {"a": "b"}, "Told": {"the word": "c"}}
    assert kept(shapes, given) == {"Plain": {"a": "b"}, "Told": HIDDEN}


def test_a_message_keeps_only_what_the_request_keeps() -> None:
    given = {
        "Key": {"id": {"S": "shown"}},
        "Item": {"n": {"N": "planted"}},
        "Names": ["hidden", "open"],
    }
    kept = {"Key": {"id": {"S": "shown"}}, "Item": HIDDEN, "Names": ["HIDDEN", "open"]}
    message = "shown, planted, hidden and open: 'planted' is no number"
    assert without_hidden(message, given, kept) == (
        f"shown, {HIDDEN}, {HIDDEN} and open: '{HIDDEN}' is no number"
    )
    assert without_hidden(message, given, given) == message
    assert without_hidden("hidden", {"Names": ["hidden"]}, {"Names": HIDDEN}) == HIDDEN
