"""What a test does to the process that all of them share is undone behind it."""

from __future__ import annotations

import os


def umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


class TestUmask:
    met: int

    def test_a_command_in_the_process_may_set_it(self) -> None:
        TestUmask.met = os.umask(0o077)
        assert umask() == 0o077
        assert umask() != self.met

    def test_and_the_next_test_does_not_meet_it(self) -> None:
        assert umask() == getattr(self, "met", umask())
