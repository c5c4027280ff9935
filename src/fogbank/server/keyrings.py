"""The data keys of an open data directory, as operators tend them while it serves.

Every store has a keyring of its own; all are sealed by one secret. A rotation that reached some of
them only is harmless: asked again, each gets one more key. Sealing by another secret begins with the
supervisor, which from then on starts store processes with both, and ends with the first store, which
says at the next start what is asked for: cut short anywhere, it can be asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.platform.crypto.secret import KeyRefused, Secret
from fogbank.server.control import Control, ControlError, NoArguments, Send
from fogbank.server.members import Member

STATUS: Final = "key.status"
LIST: Final = "key.list"
ROTATE: Final = "key.rotate"
SEAL: Final = "key.seal"
DROP: Final = "key.drop"


class SealArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new secret."""

    kind: str
    value: bytes

    def __repr__(self) -> str:
        """Return of what kind it is, and not what it is."""
        return f"SealArguments({self.kind})"


class Keyrings:
    """Lists, rotates, seals and drops data keys.

    Args:
        members: The stores, by number.
        tell: Tells whoever starts store processes of a secret, before it seals anything.
    """

    def __init__(
        self, members: Sequence[Member], tell: Callable[[Secret], None] = lambda _: None
    ) -> None:
        self._members = members
        self._tell = tell

    def controls(self) -> list[Control]:
        """Return the requests of operators."""
        return [
            Control(STATUS, NoArguments, self.status),
            Control(LIST, NoArguments, self.list),
            Control(ROTATE, NoArguments, self.rotate),
            Control(SEAL, SealArguments, self.seal),
            Control(DROP, NoArguments, self.drop),
        ]

    async def status(self, _arguments: NoArguments, send: Send) -> Mapping[str, Any]:
        """Send how many keys each store has, and how far everything is under the newest.

        Raises:
            ControlError: The directory is not encrypted.
        """
        for number, member in enumerate(self._members):
            try:
                count = len(await member.keys())
            except KeyRefused as error:
                raise _refused(error) from error
            state: Any = msgspec.to_builtins(await member.anew())
            await send({"store": number, "keys": count, "anew": state})
        return {"stores": len(self._members)}

    async def list(self, _arguments: NoArguments, send: Send) -> Mapping[str, Any]:
        """Send a row for each data key of each store.

        Raises:
            ControlError: The directory is not encrypted.
        """
        for number, member in enumerate(self._members):
            try:
                keys = await member.keys()
            except KeyRefused as error:
                raise _refused(error) from error
            for key in keys:
                is_newest = key == keys[-1]
                await send(
                    {"store": number, "id": key.id, "made_ms": key.made_ms, "newest": is_newest}
                )
        return {"stores": len(self._members)}

    async def rotate(self, _arguments: NoArguments, send: Send) -> Mapping[str, Any]:
        """Make a new data key in each store and send its id.

        Raises:
            ControlError: The directory is not encrypted.
        """
        for number, member in enumerate(self._members):
            try:
                made = await member.rotate()
            except KeyRefused as error:
                raise _refused(error) from error
            await send({"store": number, "id": made})
        return {"stores": len(self._members)}

    async def seal(self, arguments: SealArguments, _send: Send) -> Mapping[str, Any]:
        """Seal every keyring with another secret.

        Raises:
            ControlError: The directory is not encrypted, or the secret is not good enough.
        """
        secret = Secret(arguments.kind, arguments.value)
        self._tell(secret)
        try:
            counts = [await member.seal(secret) for member in reversed(self._members)]
        except KeyRefused as error:
            raise _refused(error) from error
        return {"keys": sum(counts)}

    async def drop(self, _arguments: NoArguments, send: Send) -> Mapping[str, Any]:
        """Remove the older data keys of each store and send their ids.

        Raises:
            ControlError: One of them is needed; the message says by what.
        """
        for number, member in enumerate(self._members):
            try:
                dropped = await member.drop_keys()
            except (KeyRefused, Corrupt) as error:
                raise _refused(error) from error
            await send({"store": number, "dropped": dropped})
        return {"stores": len(self._members)}


def _refused(error: Exception) -> ControlError:
    """Return what the operator is told."""
    return ControlError(type(error).__name__, str(error))
