"""How far a client has fallen behind the slowest pace that is put up with.

Rule: a client that moves a byte now and then is not late by any pause, and still holds what it
holds for ever; so time that passes while we wait for it is a debt, and bytes that move pay it off.
"""

from __future__ import annotations


class Pace:
    """The debt of one client, in milliseconds; looked at once per sweep."""

    __slots__ = ("_at_ms", "_moved", "_owed_ms", "_subject", "moved_ms")

    def __init__(self) -> None:
        self._subject: object = None
        self._at_ms = 0
        self._moved = 0
        self._owed_ms = 0
        self.moved_ms = 0
        """When bytes were last seen to have moved."""

    def look(self, subject: object, moved: int, now_ms: int, bytes_per_second: int) -> int:
        """Return the debt now.

        Args:
            subject: What is waited for; the debt begins anew with another.
            moved: How many bytes of it have moved in all; only differences mean anything.
            now_ms: The time.
            bytes_per_second: The slowest pace.
        """
        if subject is self._subject:
            more = max(0, moved - self._moved)
            if more:
                self.moved_ms = now_ms
            paid = more * 1000 // bytes_per_second
            self._owed_ms = max(0, self._owed_ms + now_ms - self._at_ms - paid)
        else:
            self._subject, self._owed_ms = subject, 0
        self._at_ms, self._moved = now_ms, moved
        return self._owed_ms

    def rest(self) -> None:
        """Note that nothing is waited for: the next look begins anew."""
        self._subject = None
