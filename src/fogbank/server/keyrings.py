"""The data keys of an open data directory, as operators list and rotate them while it serves.

Every store has a keyring of its own; all are sealed by one secret. A rotation that reached some of
them only is harmless: asked again, each gets one more key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fogbank.platform.crypto.keys import KeyRefused
from fogbank.server.control import Control, ControlError, NoArguments, Send
from fogbank.server.members import Member

LIST: Final = "key.list"
ROTATE: Final = "key.rotate"


class Keyrings:
    """Lists and rotates data keys.

    Args:
        members: The stores, by number.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members

    def controls(self) -> list[Control]:
        """Return the requests of operators."""
        return [
            Control(LIST, NoArguments, self.list),
            Control(ROTATE, NoArguments, self.rotate),
        ]

    async def list(self, _arguments: NoArguments, send: Send) -> Mapping[str, Any]:
        """Send a row for each data key of each store.

        Raises:
            ControlError: The directory is not encrypted.
        """
        for number, member in enumerate(self._members):
            try:
                keys = await member.keys()
            except KeyRefused as error:
                raise ControlError("KeyRefused", str(error)) from error
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
                raise ControlError("KeyRefused", str(error)) from error
            await send({"store": number, "id": made})
        return {"stores": len(self._members)}
