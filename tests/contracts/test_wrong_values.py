"""Each constraint of the models holds at every depth, and its breach is told as AWS tells it.

What a model says of a value is taken from botocore, not from ours; which constraints the front of
a service checks, and under which code, is what its patch says with its evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape
from tests.contracts.bodies import Answer, Bodies
from tests.contracts.registry import OPERATIONS, Built
from tests.contracts.seeds import seed
from tests.contracts.wrong import ELEMENT, VALUE, Wrong, carrying, forbidden, places_of

from fogbank.services.s3.errors import MalformedXML
from fogbank.wire.model import load

CODES = {
    "json": "ValidationException",
    "rest-json": "ValidationException",
    "query": "ValidationError",
}
UNSENDABLE = {
    # botocore computes the checksum itself, and knows no other words.
    ("s3", "ChecksumAlgorithm"),
    # botocore makes a host name of it first.
    ("s3control", "AccountId"),
}
every_operation = pytest.mark.parametrize("built", OPERATIONS, ids=str)


def wrongs_of(built: Built) -> Iterator[Wrong]:
    for place in places_of(built):
        yield from forbidden(place)


def at_front(built: Built, wrong: Wrong) -> bool:
    """Return whether it is the front of a service that refuses a value, and not the service."""
    settings = load(built.service.model).settings
    if settings.s3_style and wrong.place.location:
        return False
    shape = wrong.place.shape
    ours = load(built.service.model).shape(wrong.required_by or shape.name).raw
    # A patch that takes a constraint from the model says why.
    if wrong.required_by:
        taken = wrong.place.path[-1] not in ours.get("required", ())
    else:
        key = {"length": "max", "range": "max"}.get(wrong.kind, wrong.kind)
        taken = key in shape.metadata and key not in ours
    return wrong.kind in settings.constraints and not taken


def path_in_words(wrong: Wrong, *, as_spelt: bool = False) -> str:
    """Return a path as messages write it, as a regular expression."""
    words = {ELEMENT: r"\d+\.member", VALUE: r"[^.']+\.member"}
    steps = [
        words.get(step, step if as_spelt else step[0].lower() + step[1:])
        for step in wrong.place.path
    ]
    return r"\.".join(steps)


def expected(built: Built, wrong: Wrong) -> tuple[str, str]:
    """Return the code of a refusal, and its message as a regular expression."""
    settings = load(built.service.model).settings
    if settings.s3_style:
        known = settings.shape_refusals.get(wrong.place.shape.name)
        return known.code if known else "MalformedXML", re.escape(MalformedXML.text)
    code = settings.constraint_code or CODES[built.model.service.protocol]
    for pattern, text in settings.pattern_texts.items():
        if wrong.kind == "pattern" and pattern == wrong.place.shape.metadata["pattern"]:
            return code, re.escape(text).replace(r"\{member\}", path_in_words(wrong))
    asked = f"{built.model.name}.{wrong.place.path[0]}"
    if wrong.kind == "required" and asked in settings.required_texts:
        return code, re.escape(settings.required_texts[asked])
    if wrong.value in ([], {}) and len(wrong.place.path) == 1 and asked in settings.empty_texts:
        return code, re.escape(settings.empty_texts[asked])
    return code, told(wrong, as_spelt=asked in settings.bare_members)


def told(wrong: Wrong, *, as_spelt: bool) -> str:
    """Return the message of a violation, as a regular expression."""
    path, words = path_in_words(wrong, as_spelt=as_spelt), re.escape(wrong.words)
    if wrong.kind == "required":
        value, must = "Value null", "Member must not be null"
    else:
        value = "Value( '.*')?"
        must = rf"Member must (have length |have value |satisfy )?{words}.*"
    *above, last = wrong.place.path
    is_scalar = not isinstance(wrong.place.shape, ListShape | MapShape)
    if last == VALUE or (last == ELEMENT and is_scalar):
        # Of what is wrong with a text or a number in a list, or with anything in a map, that is told.
        outer = wrong._replace(place=wrong.place._replace(path=tuple(above)))
        path = path_in_words(outer, as_spelt=as_spelt)
        must = rf"(Member|Map value) must satisfy constraint: \[.*{words}.*\]"
    one = rf"{value} at '{path}' failed to satisfy constraint: {must}"
    return rf"\d+ validation errors? detected: (.*; )?{one}(; .*)?"


@pytest.fixture(scope="module")
def bodies(shared: Any) -> Bodies:
    return Bodies(shared)


@every_operation
def test_a_value_that_the_model_forbids_is_refused_at_every_depth(
    built: Built, bodies: Bodies, clients: Any, shared: Any
) -> None:
    account = shared.account.principal.account
    seed(built.service.model, clients, account)
    taken: list[tuple[str, str, Any]] = []
    for wrong in wrongs_of(built):
        answer = bodies.send(built, carrying(built, wrong.sent_at, wrong.value, account))
        if not refused(built, wrong, answer):
            taken.append((str(wrong.place), wrong.kind, answer))
    assert taken == []


def refused(built: Built, wrong: Wrong, answer: Answer) -> bool:
    """Return whether an answer is the refusal of a wrong value."""
    if answer.status == 0:
        return (built.service.model, wrong.place.path[0]) in UNSENDABLE
    if built.model.http_method == "HEAD":
        # AWS: the answer to a HEAD has no body, and so no code and no message.
        return answer.status == 400
    if not at_front(built, wrong):
        return answer.status == 400 or answer.code == "NotImplemented"
    code, message = expected(built, wrong)
    return (
        answer[:2] == (400, code) and re.fullmatch(message, answer.message, re.DOTALL) is not None
    )


def test_every_kind_of_constraint_is_broken_at_the_front_of_every_service_that_has_it() -> None:
    found = {
        (built.service.model, wrong.kind)
        for built in OPERATIONS
        for wrong in wrongs_of(built)
        if at_front(built, wrong)
    }
    for service in ("dynamodb", "iam", "lambda", "logs"):
        kinds = set(load(service).settings.constraints)
        assert {kind for known, kind in found if known == service} == kinds
    assert {kind for known, kind in found if known == "s3"} == {"required", "enum"}
