"""Every event that a service tells has golden bytes: what changes takes another version.

``--rewrite`` writes the files of new events and versions; it never renews one that is there.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contracts.registry import SERVICES
from tests.contracts.samples import sample
from tests.tidy.trees import SOURCE, tree_of

from fogbank.contract.event import Event

GOLDEN = Path(__file__).parents[1] / "golden" / "events"
EVENTS = [(service.model, event) for service in SERVICES.values() for event in service.events]
every_event = pytest.mark.parametrize("event", [event for _, event in EVENTS], ids=lambda e: e.NAME)


def golden_path(event: type[Event], least: bool) -> Path:
    return GOLDEN / f"{event.NAME.replace('/', '.')}.{'least' if least else 'whole'}.json"


def told(event: type[Event], least: bool) -> bytes:
    """Return what a sample of an event tells: with all of its fields, or with what it must have."""
    made: Event = sample(msgspec.inspect.type_info(event), least=least)
    return msgspec.json.format(made.payload(), indent=2) + b"\n"


@pytest.mark.parametrize("least", [False, True], ids=["whole", "least"])
@every_event
def test_an_event_is_told_as_its_golden_file_has_it(
    event: type[Event], least: bool, request: pytest.FixtureRequest
) -> None:
    path = golden_path(event, least)
    if request.config.getoption("--rewrite") and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(told(event, least))
    assert told(event, least) == path.read_bytes(), "a changed event takes another version"


def test_every_golden_file_is_of_an_event_in_this_or_an_older_version() -> None:
    names = {event.NAME.partition("/")[0] for _, event in EVENTS}
    files = {path.name for path in GOLDEN.glob("*.json")}
    assert {name for name in files if ".".join(name.split(".")[:2]) not in names} == set()
    assert files >= {golden_path(event, least).name for _, event in EVENTS for least in (0, 1)}


def test_every_event_is_in_the_manifest_of_its_service() -> None:
    declared = {event for _, event in EVENTS}
    assert {each for each in Event.__subclasses__() if "services" in each.__module__} == declared
    for model, event in EVENTS:
        assert event.NAME.partition(".")[0] == model
    names = [event.NAME for _, event in EVENTS]
    assert len(names) == len(set(names))


def test_every_delivery_that_a_service_writes_carries_a_declared_event() -> None:
    payloads: list[Any] = []
    for path in sorted((SOURCE / "services").rglob("*.py")):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Delivery":
                payloads += [each.value for each in node.keywords if each.arg == "payload"]
    assert payloads
    assert {ast.unparse(each).rpartition(".")[2] for each in payloads} == {"payload()"}
