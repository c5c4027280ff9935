"""A lock that another process holds is waited for a while and then refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fogbank.engines.embedded import lock
from fogbank.engines.embedded.lock import DirectoryInUse, LockFile
from fogbank.engines.embedded.recover import take_locks


def clock(monkeypatch: pytest.MonkeyPatch, on_sleep: Callable[[], None]) -> list[float]:
    """Let the lock's time pass only as it sleeps; return how long it slept each time."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        on_sleep()

    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=sleep))
    return slept


def test_a_lock_that_a_dying_process_lets_go_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    first.take()
    slept = clock(monkeypatch, first.release)
    second.take()
    assert len(slept) == 1
    second.release()


def test_a_lock_that_stays_held_is_refused_after_two_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    first.take()
    slept = clock(monkeypatch, lambda: None)
    with pytest.raises(DirectoryInUse, match="another server uses this data directory"):
        second.take()
    assert sum(slept) == pytest.approx(2.0, abs=0.1)
    first.release()


def test_a_checkpointer_that_outlives_its_store_keeps_the_next_store_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = LockFile(tmp_path / "checkpointer.lock")
    old.take()
    slept = clock(monkeypatch, lambda: None)
    with pytest.raises(DirectoryInUse):
        take_locks(tmp_path)
    assert slept
    old.release()
    for held in take_locks(tmp_path):  # a refusal leaves the store's own lock free
        held.release()
