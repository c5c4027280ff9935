"""Tokens of pages on their way in and out: see ``wire/pages`` for what they are.

Rule: operations know places, clients know tokens, and only this room knows both. It stands between
authorisation and operation, so that calls from service to service are no way around it.
"""

from __future__ import annotations

from typing import Any, Final

from fogbank.base.errors import ServiceError
from fogbank.base.types import Wire
from fogbank.contract.action import Scope
from fogbank.gateway.render import error_of
from fogbank.platform.identity.identity import Identity
from fogbank.wire.model import OperationModel, ServiceModel
from fogbank.wire.pages import BadToken, PageTokens, TokenMembers, token_members

_PURPOSE: Final = b"fogbank page token 1"
_CODES: Final = {"query": "ValidationError", "rest-xml": "InvalidArgument", "ec2": "InvalidToken"}


class Pages:
    """Opens the tokens of requests and seals those of answers.

    Args:
        identity: Where the key comes from.
    """

    __slots__ = ("_identity", "_tokens")

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._tokens: PageTokens | None = None

    @property
    def _sealed_by(self) -> PageTokens:
        if self._tokens is None:
            master = self._identity.sealer
            assert master is not None, "identity is opened before a call is made"
            self._tokens = PageTokens(master.key_for(_PURPOSE))
        return self._tokens

    def open(self, paged: Paged, scope: Scope, wire: Wire) -> Wire:
        """Return a request with places for tokens.

        Raises:
            ServiceError: One is not ours, or another's; in the service's words.
        """
        given = [name for name in paged.members.asked if wire.get(name)]
        if not given:
            return wire
        context, opened = paged.context(scope), dict(wire)
        for name in given:
            head, sealed = paged.parts_of(wire[name])
            try:
                opened[name] = head + self._sealed_by.open(sealed, context + head)
            except BadToken:
                raise paged.refusal(name) from None
        return opened

    def seal(self, paged: Paged, scope: Scope, asked: Wire, answer: Wire) -> Wire:
        """Return an answer with tokens for places.

        Args:
            paged: The operation.
            scope: Whose call it is.
            asked: The request as it came, its tokens not opened.
            answer: What the operation returned.
        """
        members = paged.members
        told = [name for name in members.told if answer.get(name)]
        echoed = [name for name in members.echoed if answer.get(name)]
        if not told and not echoed:
            return answer
        context, sealed = paged.context(scope), dict(answer)
        for name in told:
            head, place = paged.parts_of(answer[name])
            sealed[name] = head + self._sealed_by.seal(place, context + head)
        for name in echoed:
            sealed[name] = asked[name]
        return sealed


class Paged:
    """An operation that gives tokens."""

    __slots__ = ("_mark", "_name", "_operation", "members")

    def __init__(self, operation: OperationModel, members: TokenMembers) -> None:
        settings = operation.service.settings
        taker = settings.token_takers.get(operation.name, operation.name)
        self._operation = operation
        self._name = f"{operation.service.name}:{taker}"
        self._mark = settings.token_mark
        self.members = members

    @classmethod
    def find(cls, operation: OperationModel) -> Paged | None:
        """Return an operation's tokens, or None if it has none."""
        members = token_members(operation)
        return cls(operation, members) if members else None

    def context(self, scope: Scope) -> str:
        """Return what a token is bound to."""
        return f"{scope.account}/{scope.region}/{self._name}"

    def parts_of(self, token: str) -> tuple[str, str]:
        """Return the part of a token or place that is to be read by all, and the rest of it."""
        if not self._mark:
            return "", token
        head, mark, rest = token.rpartition(self._mark)
        return head + mark, rest

    def refusal(self, member: str) -> ServiceError:
        """Return the error for a token that does not open."""
        service: ServiceModel = self._operation.service
        settings, known = service.settings, service.settings.bad_token
        if known is None:
            code = settings.constraint_code or _CODES.get(service.protocol, "ValidationException")
            return error_of(code, 400, f"The specified {member} is invalid.")
        extra: dict[str, Any] = {}
        if settings.s3_style and self._operation.input:
            extra["ArgumentName"] = self._operation.input.members[member].wire_name
        return error_of(known.code, 400, known.message, **extra)
