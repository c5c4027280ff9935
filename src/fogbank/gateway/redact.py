"""What of a request or an answer may be kept: the model's shapes, made into a filter once.

Rule: what must not be kept is decided by shape and name alone, before anything is stored; what is
left is kept by wire names and gets CloudTrail's names (``renamed``) when somebody reads it.

Left out: what the model marks sensitive, blobs and streams, members whose name says that they hold
a secret, and the contents that CloudTrail leaves out of the events of each service. Source:
CloudTrail User Guide, "CloudTrail record contents"; Amazon DynamoDB Developer Guide,
"Understanding DynamoDB log file entries"; Amazon SNS and SQS Developer Guides, "Logging ... API
calls using CloudTrail".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from fogbank.wire.model import OperationModel, Ref, Shape

QUOTED_CHARACTERS_MIN: Final = 4
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
_SECRET: Final = re.compile(
    r"password|passphrase|private_?key|secret_?(access_?key|string|binary|key)|credentials?_?json"
    r"|(session|security|auth|access|refresh|id|identity|bearer|oauth)_?token$"
    r"|token_?code|saml_?assertion|certificate_?body|client_?secret|^secret$",
    re.IGNORECASE,
)
"""Names of members that hold a secret, whatever the model says of them."""
_CONTENTS: Final[Mapping[str, frozenset[str]]] = {
    "dynamodb": frozenset({"AttributeValue", "PartiQLStatement", "AttributeValueList"}),
    "dynamodbstreams": frozenset({"AttributeMap"}),
    "events": frozenset({"Detail"}),
    "kinesis": frozenset({"Data"}),
    "lambda": frozenset({"ClientContext"}),
    "logs": frozenset({"EventMessage"}),
    "s3": frozenset({"Metadata"}),
    "sns": frozenset({"message", "Message"}),
    "sqs": frozenset({"MessageBody", "MessageAttributes", "Body"}),
}
"""Shapes and members, by service, that hold customers' data and not what was asked."""
_KEPT: Final[Mapping[str, frozenset[str]]] = {"dynamodb": frozenset({"Key"})}
"""Shapes that are kept although contents are beneath them.

AWS: DynamoDB's records show the keys of items and nothing else of them.
"""
Filter = Callable[[Any], Any]
_DROP: Final = object()


def filter_of(ref: Ref | None) -> Filter | None:
    """Return what makes a value of a use fit to be kept; None: it is fit as it is."""
    return None if ref is None else _Filters(ref).of(ref)


class _Filters:
    """The filters of all shapes beneath one; shapes may contain themselves."""

    def __init__(self, top: Ref) -> None:
        service = top.shape.service.name
        self._contents = _CONTENTS.get(service, frozenset())
        self._kept = _KEPT.get(service, frozenset())
        self._made: dict[str, Filter] = {}

    def of(self, ref: Ref) -> Filter | None:
        """Return the filter of a use, or None if it needs none."""
        shape = ref.shape
        direct = self._direct(ref)
        if direct is not None:
            return direct
        if shape.name in self._kept or not self._is_tainted(shape):
            return None
        made = self._made.get(shape.name)
        if made is None:
            # A recursive shape finds itself through this name.
            self._made[shape.name] = lambda value: self._made[shape.name](value)
            made = self._made[shape.name] = self._whole(shape)
        return made

    def _direct(self, ref: Ref) -> Filter | None:
        """Return the filter of a use that is left out itself, whatever is beneath it."""
        shape = ref.shape
        if ref.name in self._contents or shape.name in self._contents:
            return _hide
        if shape.sensitive or ref.raw.get("sensitive") or _SECRET.search(ref.name):
            return _hide
        if shape.type == "blob" or ref.streaming or shape.is_event_stream:
            return _drop
        return None

    def _is_tainted(self, shape: Shape) -> bool:
        """Return whether there is anything beneath a shape that must not be kept."""
        service = shape.service
        beneath = [shape, *(service.shape(name) for name in shape.reachable)]
        return any(self._direct(part) is not None for each in beneath for part in each.parts)

    def _whole(self, shape: Shape) -> Filter:
        """Return the filter of a structure, a list or a map with something to leave out."""
        if shape.type == "structure":
            return _structure({name: self.of(ref) for name, ref in shape.members.items()})
        if shape.type == "list":
            return _list(self.of(shape.member) or _same)
        if self.of(shape.key) is not None:
            return _hide
        of_value = self.of(shape.value)
        return _hide if of_value is _hide else _map(of_value or _same)


def without_hidden(message: str, given: Any, kept: Any) -> str:
    """Return an error's message without the values that were left out of what is kept.

    Messages quote what was asked (AWS: "Cannot convert 'x' to number"). Texts below
    ``QUOTED_CHARACTERS_MIN`` stay: they are in any sentence, and nobody's secret.
    """
    hidden = [text for text in _hidden_texts(given, kept) if text in message]
    for text in sorted(hidden, key=len, reverse=True):
        message = message.replace(text, HIDDEN)
    return message


def _hidden_texts(given: Any, kept: Any) -> Iterator[str]:
    """Yield the texts in a value that are not in what is kept of it."""
    if isinstance(given, dict):
        left = cast("dict[str, Any]", kept) if isinstance(kept, dict) else {}
        for name, inner in cast("dict[str, Any]", given).items():
            yield from _hidden_texts(inner, left.get(name))
    elif isinstance(given, list):
        values = cast("list[Any]", given)
        whole = isinstance(kept, list) and len(cast("list[Any]", kept)) == len(values)
        others = cast("list[Any]", kept) if whole else [None] * len(values)
        for inner, other in zip(values, others, strict=True):
            yield from _hidden_texts(inner, other)
    elif isinstance(given, str) and given != kept and len(given) >= QUOTED_CHARACTERS_MIN:
        yield given


def _same(value: Any) -> Any:
    return value


def _hide(_value: Any) -> Any:
    return HIDDEN


def _drop(_value: Any) -> Any:
    return _DROP


def _structure(filters: Mapping[str, Filter | None]) -> Filter:
    known = frozenset(filters)
    tainted = {name: member for name, member in filters.items() if member is not None}

    def filtered(value: Any) -> Any:
        # A member that no model has is nothing that we may keep.
        if not known.issuperset(value):
            value = {name: inner for name, inner in value.items() if name in known}
        if tainted.keys().isdisjoint(value):
            return value
        kept: dict[str, Any] = dict(value)
        for name in tainted.keys() & value.keys():
            left = kept[name] = tainted[name](kept[name])
            if left is _DROP:
                del kept[name]
        return kept

    return filtered


def _list(of_element: Filter) -> Filter:
    def filtered(value: Any) -> Any:
        left = [of_element(inner) for inner in value]
        return HIDDEN if _DROP in left else left

    return filtered


def _map(of_value: Filter) -> Filter:
    def filtered(value: Any) -> Any:
        left = {key: of_value(inner) for key, inner in value.items()}
        return {key: inner for key, inner in left.items() if inner is not _DROP}

    return filtered


def top_filter(ref: Ref | None) -> Filter:
    """Return what makes a whole request or answer fit to be kept: known members only."""
    if ref is None:
        return lambda _value: {}
    inner = _Filters(ref)
    return _structure({name: inner.of(part) for name, part in ref.shape.members.items()})


def renamed(ref: Ref | None, value: Any) -> Any:
    """Return a kept value with CloudTrail's names: members begin with a small letter."""
    if ref is None or value is None:
        return value
    return _renamed(ref.shape, value)


def _renamed(shape: Shape, value: Any) -> Any:
    if shape.type == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            _small(name): _renamed(members[name].shape, inner) if name in members else inner
            for name, inner in cast("dict[str, Any]", value).items()
        }
    if shape.type == "list" and isinstance(value, list):
        return [_renamed(shape.member.shape, inner) for inner in cast("list[Any]", value)]
    if shape.type == "map" and isinstance(value, dict):
        of_value = shape.value.shape
        return {
            key: _renamed(of_value, inner) for key, inner in cast("dict[str, Any]", value).items()
        }
    return value


def _small(name: str) -> str:
    """Return a name as CloudTrail writes it.

    AWS: the first letter alone is made small (``dBInstanceIdentifier``); a bucket is a
    ``bucketName``.
    """
    return "bucketName" if name == "Bucket" else name[:1].lower() + name[1:]


class Audited:
    """What the audit trail has to know of an operation, found once."""

    __slots__ = ("answers", "is_data", "is_read", "parameters", "response")

    def __init__(self, model: OperationModel, *, is_read: bool, is_data: bool) -> None:
        self.is_read = is_read
        self.is_data = is_data
        self.answers = not is_data and (not is_read or model.service.name == "sts")
        """Whether what was answered is kept.

        AWS: answers are in the records of actions that change something, and of AssumeRole.
        """
        self.parameters = top_filter(model.input_ref)
        self.response = top_filter(model.output_ref)
