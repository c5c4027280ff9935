"""What imports, exports and bulk puts are called: ids that order as time does, and ARNs under their table.

Source: Amazon DynamoDB API Reference, ``ImportArn`` and ``ExportArn``; the ids in its examples:
fourteen digits, of which those behind the first are milliseconds, and eight hexadecimal ones.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, NamedTuple

from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import Token
from fogbank.services.dynamodb import arns
from fogbank.services.dynamodb.quotas import TRANSFER_TOKEN_MS
from fogbank.services.dynamodb.rules import names

_ARN: Final = re.compile(
    r"(?P<table>arn:[a-z-]{1,16}:dynamodb:[a-z0-9-]{1,32}:[0-9]{12}"
    r":table/(?P<name>[a-zA-Z0-9_.-]{3,255}))/(?P<kind>import|export|bulk-operation)/(?P<id>[0-9]{14}-[0-9a-f]{8})"
)
_ID_BYTES: Final = 4
_DIGITS: Final = 14
_PAGE_CHARACTERS_MIN: Final = 80
"""Clients refuse tokens of less than 112 characters; sealed it has more."""
RANDOM_BYTES: Final = _ID_BYTES
"""What an id has beside the time."""


class TransferName(NamedTuple):
    """The name of an import or of an export."""

    table: str
    id: str


def new_id(now_ms: int, random: bytes) -> str:
    """Return the id of an import or an export that begins now."""
    assert len(random) == _ID_BYTES
    return f"{now_ms:0{_DIGITS}}-{random.hex()}"


def token_of_request(account: str, operation: str, request: Request) -> Token | None:
    """Return what makes a request a repeat of another, if its client sent a token."""
    word: str | None = request.get("ClientToken")
    if word is None:
        return None
    others = {name: value for name, value in request.items() if name != "ClientToken"}
    if len(word) > tokens.TOKEN_CHARACTERS_MAX:
        # The model bounds no token; what is kept of it is bounded all the same.
        word = blake2b(word.encode()).hexdigest()
    return Token(
        account, arns.SERVICE, operation, word, tokens.digest_of(others), TRANSFER_TOKEN_MS
    )


def find_name(scope: Scope, arn: str, kind: str) -> TransferName | None:
    """Return what an ARN of this account and region names, or None if it names nothing here.

    Args:
        scope: The caller's.
        arn: An ``ImportArn``, ``ExportArn`` or ``BulkOperationArn``.
        kind: ``import``, ``export`` or ``bulk-operation``.
    """
    found = _ARN.fullmatch(arn)
    if found is None or found["kind"] != kind:
        return None
    if found["table"] != arns.table_arn(scope.region, scope.account, found["name"]):
        return None
    return TransferName(found["name"], found["id"])


def find_table(scope: Scope, arn: str | None) -> str | None:
    """Return the name of the table whose ARN a listing is of; None: it is of all tables."""
    return None if arn is None else names.own_name(scope, arn)


def begin_of(token: str | None) -> TransferName | None:
    """Return where a page of a listing begins; None: it is the first."""
    if token is None:
        return None
    table, _, transfer_id = token.rstrip().partition("/")
    return TransferName(table, transfer_id)


def page_token(name: TransferName) -> str:
    """Return the token of the page behind an import or an export."""
    return f"{name.table}/{name.id}".ljust(_PAGE_CHARACTERS_MIN)
