"""Everything that is stored comes under the newest data key, in the background, after a rotation.

In this order: the log is settled, so that no group of an older key is needed; rows are sealed anew
in the checkpointer (``reseal.py``); then the file of every blob that takes another key is written
anew beside it and put in its place. What lay open before encryption was turned on is sealed too.
Every place is durable, so that kill -9 repeats at most a page of rows or one blob.

Rule: a blob is judged only when no name up to it is being written. When all that there were have
been judged, those that came meanwhile are judged once more: they may hold frames copied from one
that was not sealed anew yet. What comes after that has the newest key in every frame.

Theory: a file that takes another's place has the same name, size and frames under a salt of its
own, so readers that have the old one open go on, and a deletion goes first or last, never between.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final, Self

import msgspec

from fogbank.base.errors import Corrupt, Full
from fogbank.engines.embedded.blobs import FileBlobs
from fogbank.engines.embedded.core import Core
from fogbank.engines.embedded.cut import CutTaker
from fogbank.engines.embedded.notes import find_note, write_note
from fogbank.engines.embedded.recover import Opened
from fogbank.engines.embedded.reseal import Place, read_place
from fogbank.engines.embedded.rewriting import ANEW_NOTE, Rewriting
from fogbank.engines.embedded.transaction import EmbeddedTransaction
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import SYSTEM

BLOBS_PAGE: Final = 64
SAVE_EVERY: Final = 256
"""The place among the blobs is durable after so many of them."""
log = logging.getLogger("fogbank.store")


class BlobsPlace(msgspec.Struct, frozen=True):
    """How far a pass over the blobs is."""

    key_id: int = 0
    after: BlobRef = BlobRef(0, 0)
    """The last blob that was judged."""
    upto: BlobRef = BlobRef(0, 0)
    """The last one that has to be."""
    is_last: bool = False
    """The blobs are being judged that came while the others were."""
    is_done: bool = False
    blobs: int = 0
    """Blobs that were sealed anew."""
    damaged: int = 0
    version: int = 0
    """The newest transaction when the pass ended."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the place in a note; the first if there is none.

        Raises:
            Corrupt: The note is damaged.
        """
        note = find_note(path)
        if note is None:
            return cls()
        return cls(
            note["key"],
            BlobRef(note["after_incarnation"], note["after"]),
            BlobRef(note["upto_incarnation"], note["upto"]),
            bool(note["last"]),
            bool(note["done"]),
            note["blobs"],
            note["damaged"],
            note["version"],
        )

    def write(self, path: Path) -> None:
        """Replace the note durably."""
        values = {
            "key": self.key_id,
            "after_incarnation": self.after.incarnation,
            "after": self.after.number,
            "upto_incarnation": self.upto.incarnation,
            "upto": self.upto.number,
            "last": int(self.is_last),
            "done": int(self.is_done),
            "blobs": self.blobs,
            "damaged": self.damaged,
            "version": self.version,
        }
        write_note(path, values)


class AnewState(msgspec.Struct, frozen=True):
    """How far everything is under the newest data key."""

    key_id: int = 0
    """That key; 0: new writes stay plain."""
    is_done: bool = False
    """Nothing needs another key, but for what is damaged."""
    rows: int = 0
    """Rows that were sealed anew."""
    are_rows_done: bool = False
    blobs: int = 0
    """Blobs that were sealed anew."""
    judged: int = 0
    """The number of the last blob that was judged."""
    upto: int = 0
    """The number of the last one that has to be."""
    damaged: int = 0
    """Rows and blobs that nothing can open."""
    version: int = 0
    """The newest transaction when it ended; 0: it has not."""
    error: str = ""
    """Why it does not go on, if it does not."""


class Anew:
    """Seals the rows and blobs of one open store anew, a slice at a time."""

    def __init__(self, opened: Opened, core: Core, taker: CutTaker, blobs: FileBlobs) -> None:
        self._opened = opened
        self._core = core
        self._taker = taker
        self._blobs = blobs
        self._rewriter = blobs.rewriter
        self._note = opened.root / ANEW_NOTE
        with opened.env.begin() as txn:
            self._rows = read_place(txn.get)
        self._place = BlobsPlace.read(self._note)
        self._settled = 0
        """The data key for which the log was settled."""
        self._rewriting: Rewriting | None = None
        self._waiting: list[BlobRef] = []
        self._unsaved = 0
        self._is_tidy = False
        """What a crash left half written is gone."""
        self._error = ""

    @property
    def _active(self) -> int:
        """Return the data key that everything shall be sealed with; 0: none."""
        return self._opened.keys.active or 0

    @property
    def state(self) -> AnewState:
        """Return how far everything is."""
        active, rows, place = self._active, self._rows, self._place
        rows = rows if rows.key_id == active else Place(active)
        place = place if place.key_id == active else BlobsPlace(active)
        return AnewState(
            key_id=active,
            is_done=bool(active) and rows.is_done and place.is_done,
            rows=rows.rows,
            are_rows_done=rows.is_done,
            blobs=place.blobs,
            judged=place.after.number,
            upto=place.upto.number,
            damaged=rows.damaged + place.damaged,
            version=place.version,
            error=self._error,
        )

    async def step(self, slice_bytes: int) -> bool:
        """Seal about so many bytes anew; return whether there is more to do.

        Raises:
            Full: There is no space for it now.
            Unavailable: The store is closed.
        """
        left = slice_bytes
        while left > 0:
            state = self.state
            if not state.key_id or state.is_done or self._error:
                return False
            read = await (self._some_blob() if state.are_rows_done else self._some_rows())
            if read is None:
                return True
            left -= max(read, 1)
        return True

    # Rows.

    async def _some_rows(self) -> int:
        """Seal a page of rows anew, when the log needs no older key; return the bytes."""
        core, active = self._core, self._active
        async with self._taker.turn:
            core.require_open()
            if self._settled != active:
                try:
                    await core.stand_still()
                finally:
                    core.turnover.let_go()
                self._settled = active
            answer = await core.turnover.reseal()
        if answer.error == "full":
            raise Full(f"rows cannot be sealed anew: {answer.message}")
        if answer.error or answer.place is None:
            self._give_up(answer.message)
            return 0
        self._rows = answer.place
        return answer.read_bytes

    def _give_up(self, message: str) -> None:
        """Do no more until the next start: the store is damaged."""
        log.error("what is stored cannot be sealed anew: %s", message)
        self._error = message

    # Blobs.

    async def _some_blob(self) -> int | None:
        """Judge the next blob, or write some of it anew; None: wait for those being written."""
        if not self._is_tidy:
            await self._rewriter.remove_beside()
            self._is_tidy = True
        if self._place.key_id != self._active:
            await self._begin_blobs()
        if self._rewriting is not None:
            return await self._rewrite(self._rewriting)
        ref = await self._next_blob()
        if ref is None:
            return await self._end_look()
        try:
            self._rewriting = await self._rewriter.find(ref)
        except Corrupt as error:
            return await self._judged(ref, error)
        return 0 if self._rewriting is not None else await self._judged(ref)

    async def _begin_blobs(self) -> None:
        """Begin a pass, or again, with another key."""
        if self._rewriting is not None:
            await self._rewriter.give_up(self._rewriting)
            self._rewriting = None
        self._waiting.clear()
        await self._save(BlobsPlace(self._active, upto=self._blobs.newest()))

    async def _next_blob(self) -> BlobRef | None:
        """Return the next name to judge; None if there is none, or it is being written."""
        place = self._place
        if not self._waiting:
            page = await self._blobs.list(place.after, BLOBS_PAGE)
            self._waiting = [ref for ref, _size in reversed(page) if ref <= place.upto]
        begun = self._blobs.oldest_begun()
        if not self._waiting or (begun is not None and self._waiting[-1] >= begun):
            return None
        return self._waiting.pop()

    async def _end_look(self) -> int | None:
        """End a look at all blobs that there were, unless some of them are being written."""
        place, begun = self._place, self._blobs.oldest_begun()
        if begun is not None and begun <= place.upto:
            self._waiting.clear()
            return None
        if not place.is_last:
            newest = self._blobs.newest()
            place = msgspec.structs.replace(place, after=place.upto, upto=newest, is_last=True)
        else:
            place = msgspec.structs.replace(
                place, after=place.upto, is_done=True, version=self._core.durable
            )
            log.warning(
                "everything is sealed with the data key %d: %d rows and %d blobs were sealed anew",
                place.key_id,
                self._rows.rows,
                place.blobs,
            )
        await self._save(place)
        if place.is_done:
            # So that a backup of a newer version is one from after the end.
            await self._core.commit(EmbeddedTransaction(self._core.layers, SYSTEM), None)
        return 0

    async def _rewrite(self, rewriting: Rewriting) -> int:
        """Write some frames of a blob anew."""
        try:
            read = await self._rewriter.some(rewriting)
        except (Corrupt, Full) as error:
            self._rewriting = None
            await self._rewriter.give_up(rewriting)
            if isinstance(error, Full):
                self._waiting.append(rewriting.ref)
                raise
            return await self._judged(rewriting.ref, error)
        if rewriting.is_done:
            self._rewriting = None
            await self._judged(rewriting.ref, blobs=1)
        return read

    async def _judged(self, ref: BlobRef, error: Corrupt | None = None, blobs: int = 0) -> int:
        """Go on behind a blob, and say so if nothing can open it."""
        damaged = 0
        if error is not None and await self._rewriter.has(ref):
            log.error("a blob cannot be sealed anew: %s", error)
            damaged = 1
        place = self._place
        self._place = msgspec.structs.replace(
            place, after=ref, blobs=place.blobs + blobs, damaged=place.damaged + damaged
        )
        self._unsaved += 1
        if self._unsaved >= SAVE_EVERY:
            await self._save(self._place)
        return 0

    async def _save(self, place: BlobsPlace) -> None:
        """Make a place durable, and go on from there."""
        self._place, self._unsaved = place, 0
        await self._rewriter.in_thread(place.write, self._note)

    async def close(self) -> None:
        """Leave nothing half written."""
        if self._rewriting is not None:
            await self._rewriter.give_up(self._rewriting)
            self._rewriting = None
