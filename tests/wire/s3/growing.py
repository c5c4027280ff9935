"""Steps of histories that make objects longer and give them other keys: for ``test_machine.py``.

Both are for buckets that never had versions; where there are some, they are refused.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.wire.s3.histories import Versions, key_of

PLACES = (0, 0, 0, 1, -1)
"""Where an append begins, seen from the end of its object: mostly there."""


class Grown(Versions):
    """What is done with the ends and the keys of objects."""

    @rule(key=key_of, places=st.lists(st.sampled_from(PLACES), min_size=1, max_size=4))
    def append(self, key: str, places: list[int]) -> None:
        for place in places:
            self.append_at(key, place)

    def append_at(self, key: str, place: int) -> None:
        """Append at the end of an object, before it or behind."""
        current, content = self.model.current(key), self.body()
        size = 0 if current is None else len(current.content or b"")
        offset = max(0, size + place)
        reply = self.ask(
            self.s3.put_object,
            lambda: self.model.append(key, offset, content, self.now_ms),
            Key=key,
            Body=content,
            WriteOffsetBytes=offset,
        )
        if reply is not None:
            assert reply.get("Size", len(content)) == size + len(content)
            assert self.read(key) == getattr(self.model.current(key), "content", None)

    @rule(key=key_of, to=key_of, spares=st.booleans())
    def rename(self, key: str, to: str, *, spares: bool) -> None:
        """Rename an object, perhaps only to a key that is free."""
        more = {"DestinationIfNoneMatch": "*"} if spares else {}
        self.ask(
            self.s3.rename_object,
            lambda: self.model.rename(key, to, spares=spares),
            Key=to,
            RenameSource=quote(key),
            **more,
        )

    @rule(key=key_of, to=key_of, back=st.booleans())
    def grow_and_rename(self, key: str, to: str, *, back: bool) -> None:
        """Make an object longer, rename it twice by one token, make it longer again, and put another.

        What is copied before shares the bytes that it had then.
        """
        if self.model.status or key == to:
            return
        self.append(key, [0, -1, 0])
        self.copy(key, 0, "a/c")
        token: dict[str, Any] = {"ClientToken": f"{self.bucket}-{self.bodies}"}
        for repeats in (False, True):
            self.s3.rename_object(Bucket=self.bucket, Key=to, RenameSource=quote(key), **token)
            if not repeats:
                self.model.rename(key, to, spares=False)
        self.append(to, [0, 1])
        self.put(key, None, 1)
        self.rename(to, key, spares=True)  # which is not free
        if back:
            self.rename(to, key, spares=False)
        self.compare()
