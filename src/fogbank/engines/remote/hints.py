"""Hints from another process: a watched prefix is followed for as long as somebody watches."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Final
from weakref import ref

from fogbank.base.clock import Clock
from fogbank.base.errors import Weather
from fogbank.engines.remote import words
from fogbank.engines.watch import Watcher
from fogbank.platform.link.port import Peer
from fogbank.platform.link.streams import Inflow

AGAIN_MS: Final = 500
_log: Final = logging.getLogger("fogbank.link")


def _hint(watched: ref[Watcher], stream: Inflow) -> None:
    """Give a hint; end the stream if nobody watches any more."""
    watcher = watched()
    if watcher is None:
        stream.leave()
    else:
        watcher.hint()


def _give(watched: ref[Watcher], stream: Inflow, _piece: bytes) -> None:
    """Give the hint that came."""
    _hint(watched, stream)


async def follow(peer: Peer, asked: Any, watcher: Watcher, clock: Clock) -> None:
    """Pass the owner's hints on, and one whenever some may have been missed."""
    watched = ref(watcher)
    del watcher
    missed = False
    while watched() is not None:
        try:
            answer = await peer.call(words.WATCH, asked)
            stream = answer.stream
            assert isinstance(stream, Inflow), "hints come as a stream over a link"
            if missed:
                _hint(watched, stream)
            await stream.deliver(partial(_give, watched, stream))
        except Weather as error:
            _log.info("hints of another store are missed: %s", error)
        missed = True
        await clock.sleep_until(clock.now_ms() + AGAIN_MS)
