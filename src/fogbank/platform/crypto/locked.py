"""Keys that KMS has encrypted, and that somebody else opens for a body of a transaction.

Rule: a body of a transaction awaits its transaction only, and keys are opened outside. One that meets
what is sealed under a key that it has not at hand raises ``Unopened`` and has left nothing behind; its
store has the key opened and runs it again (``blobs/held``), with the key or with why there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias


class LockedKey(NamedTuple):
    """A key as KMS has encrypted it, and what it takes to have it decrypted."""

    service: str
    """The service whose key it is, such as ``dynamodb``: KMS is asked through it."""
    account: str
    """Of the resource that the key is of."""
    region: str
    owner: str
    """The ARN of the KMS key."""
    wrapped: bytes
    context: tuple[tuple[str, str], ...]
    """The encryption context."""

    def __repr__(self) -> str:
        """Return whose it is."""
        return f"LockedKey({self.owner})"


class Unopened(Exception):
    """A body of a transaction met a key that it has not at hand.

    Args:
        key: The key.
    """

    def __init__(self, key: LockedKey) -> None:
        super().__init__(
            "a body needs a key; its store is none that has keys opened (HoldingStore)"
        )
        self.key = key


Opener: TypeAlias = Callable[[LockedKey], Awaitable[bytes]]
"""Has a key opened; what it raises as a ``ServiceError`` is what the body hears that needs the key."""
