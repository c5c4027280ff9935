"""The format of a data directory: which one it has, and how an older one becomes the newest.

Rule: a directory of a newer format is refused before anything in it is read. An older one is
brought forward step by step, under the locks of the store, before recovery; the note says the new
number after each step. A step is run again after a crash in its middle, so it must be harmless to
repeat and must leave what the older format's reader, or the step itself, can read.

A format of records is another matter: those migrate one by one when they are read
(``platform/store/records``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.notes import find_note, write_note

FORMAT: Final = 3
"""1: plain. 2: values, groups and blobs may be encrypted (``platform/crypto``). 3: what waits for a
delivery lies in the partition of its source (``platform/bus/order``), and a store has a name of its
own (``cloud.py``)."""
NOTE: Final = "store.note"
_RESTORING: Final = "restoring"
_MAKING: Final = "making"


class Identity(msgspec.Struct, frozen=True):
    """What the store's note says."""

    format: int
    incarnation: int


class Step(NamedTuple):
    """What brings a data directory from the format before ``format`` to it."""

    format: int
    run: Callable[[Path], None]


def _nothing(_root: Path) -> None:
    """Change nothing: the newer format only allows more, and is written from now on."""


STEPS: Final[tuple[Step, ...]] = (Step(2, _nothing), Step(3, _nothing))
"""One step for every format above 1, in order."""


def find_identity(root: Path, newest: int = FORMAT) -> Identity | None:
    """Return what kind of store this is, or None if it is none yet.

    Raises:
        Corrupt: The note is damaged, or of a newer format than this program knows.
    """
    values = find_note(root / NOTE)
    if values is None or _MAKING in values:
        return None
    if _RESTORING in values:
        raise Corrupt(f"the restore of {root} was cut short: remove it and restore again")
    if values.keys() != {"format", "incarnation"}:
        raise Corrupt(f"{root / NOTE} does not say format and incarnation")
    if values["format"] > newest:
        raise Corrupt(
            f"{root} was written in format {values['format']}; "
            f"this program knows formats up to {newest}: start a newer one"
        )
    if values["format"] < 1 or values["incarnation"] < 1:
        raise Corrupt(f"{root / NOTE} says format {values['format']}, which there never was")
    return Identity(values["format"], values["incarnation"])


def mark_restoring(root: Path) -> None:
    """Say that a store is being made here: until it is, nothing opens it."""
    write_note(root / NOTE, {_RESTORING: 1})


def mark_making(root: Path) -> None:
    """Say that a first start makes a store here: what it made is made again, until it is one."""
    write_note(root / NOTE, {_MAKING: 1})


def is_making(root: Path) -> bool:
    """Return whether a first start was cut short here: nothing was ever acknowledged."""
    return _MAKING in (find_note(root / NOTE) or {})


def write_identity(root: Path, identity: Identity) -> None:
    """Replace the store's note durably."""
    write_note(root / NOTE, {"format": identity.format, "incarnation": identity.incarnation})


def migrated(root: Path, identity: Identity, steps: Sequence[Step] = STEPS) -> Identity:
    """Run the steps that an older directory lacks; return its identity in the newest format.

    The caller holds the locks of the directory.
    """
    for step in steps:
        if step.format == identity.format + 1:
            step.run(root)
            identity = Identity(step.format, identity.incarnation)
            write_identity(root, identity)
    return identity
