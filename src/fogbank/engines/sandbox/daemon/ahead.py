"""Sandboxes that are forked before anybody asks for them, each in a control group of its own.

Theory: ``inside/spares.py``. Rule: the group of a spare is the zygote's until a start takes both;
it is removed when the spare is gone.
"""

from __future__ import annotations

import contextlib

from fogbank.engines.sandbox.daemon import cgroups, messages
from fogbank.engines.sandbox.daemon.cells import Cells
from fogbank.engines.sandbox.daemon.nursery import Zygote


class Ahead:
    """Orders spares and keeps their control groups."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._ordered = 0

    def order(self, zygote: Zygote) -> None:
        """Have a zygote fork one spare; one that cannot is not asked for ever."""
        self._ordered += 1
        group: cgroups.Group | None = None
        opened: list[int] = []
        try:
            with self._cells.steps("prepare spare"):
                group = self._cells.group()
                opened += [] if group is None else group.entries()
                packet = messages.encode("prepare", id=self._ordered)
                messages.send(zygote.born.control, packet, opened)
        except OSError:
            zygote.spares_lost += 1
            self._cells.release(group)
        else:
            zygote.spares[self._ordered] = group
        finally:
            messages.close_all(opened)

    def give_up(self, zygote: Zygote, number: int) -> None:
        """Have a spare ended that was taken for a start which failed."""
        with contextlib.suppress(OSError):  # a dead zygote has no spares
            messages.send(zygote.born.control, messages.encode("drop", id=number))

    def lost(self, zygote: Zygote, number: int) -> None:
        """Note that a spare is gone: by itself, unless it had been given up."""
        if number in zygote.spares:
            zygote.spares_lost += 1
            self._cells.release(zygote.spares.pop(number))

    def end(self, zygote: Zygote) -> None:
        """Free what the spares of a dead zygote held."""
        for group in zygote.spares.values():
            self._cells.release(group)
        zygote.spares.clear()
