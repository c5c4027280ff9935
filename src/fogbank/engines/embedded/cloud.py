"""Which store this is among all that there are, so that two never share a backup set.

Every store draws a number once, when it is first opened, and a backup takes it along: what is
restored goes on with the set of what it was made of. A set says whose it is from its first backup,
or its first part of the archived log, on.

Rule: nothing is written into, or removed from, the set of another store. Names of blobs and versions
of the log are unique in one store only: in a shared set one would be taken for the other's.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.notes import find_note, write_note

CLOUD: Final = "cloud.note"
_ID: Final = "id"
_ID_BYTES: Final = 8


class AnotherClouds(Corrupt):
    """The folder is the backup set of another cloud; nothing was written to it."""


def ensure_cloud(root: Path, draw: Callable[[int], bytes]) -> None:
    """Give a store its number, if it has none.

    Raises:
        Corrupt: The note is damaged.
    """
    if find_note(root / CLOUD) is None:
        write_note(root / CLOUD, {_ID: int.from_bytes(draw(_ID_BYTES))})


def cloud_of(root: Path) -> int:
    """Return the number of a store.

    Raises:
        Corrupt: The note is damaged or missing.
    """
    note = find_note(root / CLOUD)
    if note is None:
        raise Corrupt(f"{root / CLOUD} is missing")
    return note[_ID]


def claim_set(root: Path, cloud: int) -> None:
    """Note whose a backup set is, if it is nobody's; the folder is there.

    A first backup and the archive, or two clouds, may come at the same time: one of them notes it.

    Raises:
        AnotherClouds: It is another store's.
        Corrupt: The note is damaged.
    """
    note = find_note(root / CLOUD)
    if note is None:
        with _alone(root):
            note = find_note(root / CLOUD)
            if note is None:
                note = {_ID: cloud}
                write_note(root / CLOUD, note)
    if note[_ID] != cloud:
        raise AnotherClouds(
            f"{root} holds the backups of another cloud ({note[_ID]:016x}, and this is "
            f"{cloud:016x}): give each a folder of its own"
        )


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Wait until nobody else, in this process or another, is between here and its end."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
