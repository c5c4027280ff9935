"""An operation with everything that is the same for all of its calls, found once.

Rule: what a manifest, a model or a decorator says is looked up here, when an operation is first
called, and never again for a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Wire
from fogbank.contract.action import Access, Scope
from fogbank.contract.operation import ANY, Operation
from fogbank.contract.service import Service
from fogbank.gateway.kinds import is_data, is_read
from fogbank.gateway.pages import Paged
from fogbank.gateway.redact import Audited
from fogbank.platform.store.engine import Domain
from fogbank.wire.compile import ServiceCodec
from fogbank.wire.model import OperationModel

DOMAINS_REMEMBERED_MAX: Final = 1_024
"""Default domains of an operation that are remembered, by account and region."""


class Bound:
    """An operation with everything that is the same for all of its calls."""

    __slots__ = (
        "_carried",
        "_domains",
        "access",
        "audited",
        "body",
        "declared",
        "default_access",
        "domain",
        "is_plain",
        "is_pointed",
        "model",
        "name",
        "paged",
        "raw",
        "reply",
        "service",
        "streams",
        "unhonoured",
    )

    def __init__(self, service: Service, codec: ServiceCodec, name: str) -> None:
        model = codec.model.operations[name]
        declared = service.functions.get(model.function)
        self.service = service
        self.name = name
        self.model = model
        self.declared: Operation | None = declared
        self.access = declared.access if declared else None
        self.default_access = [Access(f"{service.prefix}:{name}", "*")]
        self.domain = declared.domain if declared else None
        self.unhonoured: Mapping[str, Any] = declared.unhonoured if declared else {}
        self._domains: dict[tuple[str, str], Domain] = {}
        self.audited = Audited(
            model, is_read=is_read(service.model, name), is_data=is_data(service.model, name)
        )
        self.body = (declared and declared.body) or service.body
        """How long its requests may be; None: as long as those of any operation."""
        self.reply = declared.reply if declared else None
        """How long its replies may be, where that is much."""
        self.is_plain = self.reply is None and model.event_stream_output is None
        """Whether its replies are encoded in one go."""
        self.paged = Paged.find(model)
        self.is_pointed = service.points is not None
        """Whether requests may name access points in the place of resources."""
        self.raw = _is_raw(model)
        """Whether its body is bytes that nobody decodes, such as a function's payload."""
        self.streams = bool(model.streaming_input or model.event_stream_input)
        self._carried = _carried_of(model)

    def domain_of(self, scope: Scope, request: Wire) -> Domain:
        """Return the domain of the call's store."""
        if self.domain is not None:
            return self.domain(scope, request)
        key = (scope.account, scope.region)
        domain = self._domains.get(key)
        if domain is None:
            if len(self._domains) >= DOMAINS_REMEMBERED_MAX:
                self._domains.clear()
            domain = self._domains[key] = self.service.domain(scope)
        return domain

    def is_whole(self, answer: Wire) -> bool:
        """Return whether an answer is all there: nothing of it has been opened to be read later."""
        carried = self._carried
        return carried is None or isinstance(answer.get(carried, b""), bytes | str)

    def check_honoured(self, request: Wire) -> None:
        """Refuse a member that asks for what is not built.

        Raises:
            NotBuilt: The member has another than its neutral value.
        """
        unhonoured = self.unhonoured
        if unhonoured.keys().isdisjoint(request):
            return
        for member, neutral in unhonoured.items():
            if member in request and neutral is not ANY and not _is(neutral, request[member]):
                raise NotBuilt.member(self.service.model, self.name, member)


def _carried_of(model: OperationModel) -> str | None:
    """Return the member of replies that may be a stream, or None."""
    shape = model.output
    if model.event_stream_output is not None:
        return model.event_stream_output
    if shape is None or shape.payload is None:
        return None
    return shape.payload if shape.members[shape.payload].shape.type in ("blob", "string") else None


def _is_raw(model: OperationModel) -> bool:
    """Return whether the body of a request is one member, of bytes."""
    shape = model.input
    if shape is None or shape.payload is None:
        return False
    return shape.members[shape.payload].shape.type == "blob"


def _is(neutral: Any, value: Any) -> bool:
    """Return whether a value is the neutral one, or one of them; a structure may leave out any of it."""
    if isinstance(neutral, dict) and isinstance(value, dict):
        said, asked = cast("dict[str, Any]", neutral), cast("dict[str, Any]", value)
        return asked == {name: each for name, each in said.items() if name in asked}
    if isinstance(neutral, frozenset):
        try:
            return value in neutral
        except TypeError:
            return False
    return bool(neutral == value)
