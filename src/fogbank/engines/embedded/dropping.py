"""Whether an older data key can go: what would be lost with it.

Rule: a key is dropped only when nothing that this program can reach needs it: no row, no blob, no
group of the log, no cut that is being read, no part of the archived log. Backups hold keyrings of
their own, which keep what they need.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fogbank.engines.embedded.anew import AnewState
from fogbank.engines.embedded.blobs import blob_files
from fogbank.engines.embedded.frames import Reader
from fogbank.engines.embedded.manifest import ARCHIVED_LOG, BLOBS, backups_in
from fogbank.engines.embedded.segment import keys_of_groups
from fogbank.engines.embedded.spool import GROUPS, SPOOL


class Needs(NamedTuple):
    """What may need an older data key."""

    root: Path
    state: AnewState
    cuts: int
    archive: Path | None
    """The backup set that the log is archived in."""


def still_needed(needs: Needs) -> str:
    """Return why an older data key is needed; empty if none is. Blocks.

    Raises:
        Corrupt: The archived log is damaged.
    """
    state = needs.state
    if not state.is_done:
        return "older data keys are needed: what they sealed is still being sealed anew"
    if state.damaged:
        return f"older data keys are needed: {state.damaged} rows or blobs are damaged"
    if needs.cuts:
        return "older data keys are needed by a backup or an export that is being read"
    if keys_in_log(needs.root / SPOOL) - {state.key_id}:
        return "older data keys are needed by the log that waits for its archive"
    return "" if needs.archive is None else _needed_by(needs.archive, state)


def _needed_by(archive: Path, state: AnewState) -> str:
    """Return what in the set that the log is archived in needs an older data key.

    What is rolled forward gets the keyring that came with the log, whatever its backup had.
    """
    what = ""
    if keys_in_log(archive / ARCHIVED_LOG) - {state.key_id}:
        what = "the archived log"
    elif old := [
        each.head.name for each in backups_in(archive) if each.head.version <= state.version
    ]:
        what = f"the backup {old[0]} and the log behind it"
    else:
        for _path, ref in blob_files(archive / BLOBS):
            with Reader(archive / BLOBS, ref, None) as reader:
                if reader.named_keys() - {state.key_id}:
                    what = "blobs of backups"
                    break
    if not what:
        return ""
    return (
        f"older data keys are needed by {what} in {archive}: name another archive.folder, and take "
        "a backup there"
    )


def keys_in_log(folder: Path) -> set[int]:
    """Return the data keys that sealed the groups in a spool or an archive."""
    found: set[int] = set()
    for path in sorted(folder.glob(f"*{GROUPS}")):
        found |= keys_of_groups(path)
    return found
