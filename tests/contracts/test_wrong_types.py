"""Values of another type are refused at every depth, and members that no model knows passed over.

botocore writes the request with a value that it knows again; then the value is replaced in what was
written: a place of a JSON document, the text of an element, of a field of a form, or of a header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import StructureShape
from tests.contracts.bodies import Answer, Bodies, Change
from tests.contracts.made_up import smallest, value_of
from tests.contracts.registry import OPERATIONS, Built
from tests.contracts.seeds import seed
from tests.contracts.wrong import (
    ELEMENT,
    NUMBERS,
    VALUE,
    Place,
    carrying,
    places_of,
    with_one_member,
)

from fogbank.wire.model import load

JSON = {"json", "rest-json"}
UNKNOWN = "NoModelKnows"
NUMBER = 7_654_321
MOMENT = 981_173_106
"""2001-02-03T04:05:06Z."""
WRITTEN = re.compile(r"7654321|true|2001-02-03T04:05:06(\.000)?Z")
OBJECT, ARRAY, TEXT = {"an": "object"}, ["a list"], "no such value"
WRONG_IN_JSON: dict[str, list[Any]] = {
    "structure": [ARRAY, TEXT, 7, True],
    "map": [ARRAY, TEXT, 7, True],
    "list": [OBJECT, TEXT, 7, True],
    "string": [OBJECT, ARRAY, 7, True],
    "blob": [OBJECT, ARRAY, 7, True],
    "timestamp": [OBJECT, ARRAY, True],
    "boolean": [OBJECT, ARRAY, 7],
    **{number: [OBJECT, ARRAY, TEXT, True] for number in NUMBERS},
}
CODES = {"query": "MalformedInput", "rest-xml": "MalformedXML"}
every_operation = pytest.mark.parametrize("built", OPERATIONS, ids=str)


@pytest.fixture(scope="module")
def bodies(shared: Any) -> Bodies:
    return Bodies(shared)


def has_json(built: Built) -> bool:
    return built.model.service.protocol in JSON


def sample(place: Place) -> Any:
    """Return a value that is found again in what botocore writes."""
    if place.shape.type_name in NUMBERS:
        return NUMBER
    if place.shape.type_name in {"boolean", "timestamp"}:
        return {"boolean": True, "timestamp": MOMENT}[place.shape.type_name]
    return value_of(place.shape, place.path[-1], 0)


def in_document(built: Built, place: Place) -> bool:
    return not place.location and bool(built.model.input) and not is_document(place)


def is_document(place: Place) -> bool:
    return bool(getattr(place.shape, "is_document_type", False))


def at_path(document: Any, built: Built, path: tuple[str, ...]) -> Any:
    """Return what stands at a path of a JSON document."""
    if path and built.model.input is not None and built.model.input.payload == path[0]:
        path = path[1:]
    for step in path:
        document = document[key_of(document, step)]
    return document


def key_of(holder: Any, step: str) -> Any:
    return {ELEMENT: 0, VALUE: next(iter(holder), None)}.get(step, step)


def replacing_json(built: Built, place: Place, value: Any) -> Change:
    def change(params: dict[str, Any]) -> None:
        document = json.loads(params["body"] or "{}")
        holder = at_path(document, built, place.path[:-1])
        holder[key_of(holder, place.path[-1])] = value
        params["body"] = json.dumps(document).encode()

    return change


def replacing_text(place: Place, new: str) -> Change:
    """Return a change of a number, truth or time, wherever HTTP carries it."""
    tag = re.escape(place.shape.serialization.get("name", place.path[-1]))

    def other(text: Any) -> str:
        return new if WRITTEN.fullmatch(str(text)) else str(text)

    def change(params: dict[str, Any]) -> None:
        params["url"] = re.sub(rf"([?&]{tag}=)[^&]*", rf"\g<1>{new}", params["url"])
        if place.location == "uri":
            params["url"] = "/".join(map(other, params["url"].split("/")))
        headers, body = params["headers"], params["body"]
        for name, text in headers.items() if place.location == "header" else ():
            headers[name] = new if re.fullmatch(tag, name, re.IGNORECASE) else text
        if isinstance(body, dict):
            params["body"] = {name: other(text) for name, text in body.items()}
        elif isinstance(body, bytes) and not place.location:
            written = rf"(<{tag}>)[^<]*(</{tag}>)"
            params["body"] = re.sub(written, rf"\g<1>{new}\g<2>", body.decode()).encode()

    return change


def texts_of(place: Place) -> Iterator[str]:
    """Yield texts that no value of a shape is written as."""
    if place.shape.type_name in {*NUMBERS, "boolean", "timestamp"}:
        yield "no-such-value"
        if not place.location:
            # A header without a value counts as absent.
            yield ""


def changes_of(built: Built, place: Place) -> Iterator[tuple[Any, Change]]:
    """Yield the values of another type that a place cannot take, and how they get there."""
    if has_json(built) and in_document(built, place):
        for value in WRONG_IN_JSON[place.shape.type_name]:
            yield value, replacing_json(built, place, value)
        return
    if place.path[0] in load(built.service.model).settings.lenient_members:
        return
    for text in texts_of(place):
        yield text, replacing_text(place, text)


def refused(built: Built, place: Place, answer: Answer) -> bool:
    """Return whether an answer is the refusal of a value of another type."""
    if place.location or built.model.http_method == "HEAD":
        return answer.status == 400
    code = CODES.get(built.model.service.protocol, "SerializationException")
    return answer[:2] == (400, code)


@every_operation
def test_a_value_of_another_type_is_refused_at_every_depth(
    built: Built, bodies: Bodies, clients: Any, shared: Any
) -> None:
    account = shared.account.principal.account
    seed(built.service.model, clients, account)
    taken: list[tuple[str, Any, Answer]] = []
    for place in places_of(built):
        request = carrying(built, place.path, sample(place), account)
        for value, change in changes_of(built, place):
            answer = bodies.send(built, request, change)
            if not refused(built, place, answer):
                taken.append((str(place), value, answer))
    assert taken == []


def structures_of(built: Built) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the structures in an operation's body; the whole input has none."""
    protocol = built.model.service.protocol
    if built.model.http_method in {"GET", "HEAD"} or not built.model.input:
        return
    if built.model.input.payload is None and protocol != "rest-xml":
        yield ()
    for place in places_of(built):
        shape = place.shape
        if isinstance(shape, StructureShape) and not place.location and not is_document(place):
            yield place.path


def adding(built: Built, path: tuple[str, ...]) -> Change:
    """Return a change that writes a member which no model knows, beside those of a structure."""

    def change(params: dict[str, Any]) -> None:
        body = params["body"]
        if has_json(built):
            document = json.loads(body or "{}")
            at_path(document, built, path)[UNKNOWN] = {"x": [1]}
            params["body"] = json.dumps(document).encode()
        elif isinstance(body, dict):
            owners = {name.rpartition(".")[0] for name in body if not name[-1].isdecimal()}
            params["body"] = body | {f"{owner}.{UNKNOWN}".lstrip("."): "x" for owner in owners}
        else:
            # Beside every element but those of a list: what has others within is a structure. What
            # holds a list ends in an "s", as a status does too.
            more = rf"\g<0><{UNKNOWN}><x>1</x></{UNKNOWN}>"
            ends = r"(</\w+>|<\w+ ?/>)(?!$|</(?!\w*Status>)\w+s>)"
            params["body"] = re.sub(ends, more, body.decode()).encode()

    return change


@every_operation
def test_members_that_no_model_knows_are_passed_over_at_every_depth(
    built: Built, bodies: Bodies, clients: Any, shared: Any
) -> None:
    # AWS: clients of a newer model are answered, in JSON, in forms and in XML alike; but S3 holds
    # documents against its schema (an answer of Amazon S3 in ceph pull request 23486).
    strict = built.service.model == "s3"
    account = shared.account.principal.account
    seed(built.service.model, clients, account)
    minded = []
    for path in structures_of(built):
        request = with_structure(built, path, account)
        change = adding(built, path)
        # Between two that are as the model has them: some succeed but once, or so many times.
        before, between, after = [
            bodies.send(built, request, each) for each in (None, change, None)
        ]
        refused = between[:2] == (400, "MalformedXML")
        # What goes on behind the first answer may end between the other two: then each of them is
        # an error of its own, that the model declares.
        began = before.status == 200 and between.code in built.model.errors
        is_same = between[:2] in {before[:2], after[:2]} or began
        if refused is not strict or not (strict or is_same):
            minded.append((path, before, between, after))
    assert minded == []


def with_structure(built: Built, path: tuple[str, ...], account: str) -> dict[str, Any]:
    """Return the smallest request in which a structure stands at a path, with a member."""
    if not path:
        return smallest(built.service.model, built.model.name, account)
    (shape,) = [place.shape for place in places_of(built) if place.path == path]
    return carrying(built, path, value_of(shape, path[-1], 0) or with_one_member(shape), account)
