"""Tokens of pages: where a listing goes on, given to a client that must not read or change it.

Rule: an operation says in a text of its own where its next page begins; what leaves is that text
sealed, bound to the account, the region and the operation that it is for. A token that anyone
altered, that another account or operation was given, or that another cloud made does not open, and
the service says so in its own words. Sealing is a function of the text: the same place has the same
token, which clients compare to see that they are at the end (GetLogEvents).

Which members are tokens is in the models: of each paginator the tokens that are texts, and the
names that every service uses for them. Where AWS's token is a key or a name that clients may make
up by themselves (S3's markers, DynamoDB's keys), it stays plain: ``Settings.plain_tokens``.

Theory: AES-SIV (RFC 5297) needs no nonce: the synthetic IV is a MAC over text and context, so
equal texts give equal tokens and nothing else is told.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from fogbank.wire.model import OperationModel, Shape

KEY_BYTES: Final = 64
TOKEN_CHARACTERS_MAX: Final = 8_192
_VERSION: Final = b"\x01"
_USUAL: Final = (
    ("NextToken", "NextToken"),
    ("nextToken", "nextToken"),
    ("ContinuationToken", "NextContinuationToken"),
    ("Marker", "NextMarker"),
    ("Marker", "Marker"),
)
"""What services call their tokens where no paginator says so: input and output."""


class BadToken(ValueError):
    """A token that we did not give to this account for this operation."""


class PageTokens:
    """Seals and opens tokens under a key.

    Args:
        key: 64 bytes that no one else knows and that outlive restarts.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES, "AES-SIV takes two keys of 256 bits"
        self._cipher = AESSIV(key)

    def __repr__(self) -> str:
        return "PageTokens()"

    def seal(self, place: str, context: str) -> str:
        """Return the token of a place.

        Args:
            place: What the operation wants back; not empty.
            context: Whom and what the token is for.
        """
        sealed = self._cipher.encrypt(place.encode(), [_VERSION, context.encode()])
        token = base64.urlsafe_b64encode(_VERSION + sealed).rstrip(b"=").decode()
        assert len(token) <= TOKEN_CHARACTERS_MAX, "a place that is too long to come back"
        return token

    def open(self, token: str, context: str) -> str:
        """Return the place of a token.

        Raises:
            BadToken: It is none that ``seal`` returned for this context.
        """
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise BadToken
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            if raw[:1] != _VERSION:
                raise BadToken
            return self._cipher.decrypt(raw[1:], [_VERSION, context.encode()]).decode()
        except (binascii.Error, ValueError, InvalidTag):
            raise BadToken from None


class TokenMembers(NamedTuple):
    """The members of one operation that are tokens of pages."""

    asked: frozenset[str]
    told: frozenset[str]
    echoed: frozenset[str]
    """Members of the answer that repeat what was asked."""


def token_members(operation: OperationModel) -> TokenMembers | None:
    """Return which members of an operation are sealed, or None if it gives no tokens."""
    settings = operation.service.settings
    shape, output = operation.input, operation.output
    if shape is None or output is None:
        return None
    pairs = [each for each in _USUAL if each[0] in shape.members and each[1] in output.members]
    if operation.paginator:
        pairs = list(
            zip(operation.paginator.input_tokens, operation.paginator.output_tokens, strict=False)
        )
    pairs += [(one, other) for one, other in settings.page_tokens.get(operation.name, ())]
    sealed = [
        (one, other)
        for one, other in pairs
        if one not in settings.plain_tokens
        and (not one or _is_text(shape, one))
        and _is_text(output, other)
    ]
    if not sealed:
        return None
    asked = frozenset(one for one, _ in sealed if one)
    told = frozenset(other for _, other in sealed)
    return TokenMembers(asked, told, (asked & output.members.keys()) - told)


def _is_text(shape: Shape, name: str) -> bool:
    return name in shape.members and shape.members[name].shape.type == "string"
