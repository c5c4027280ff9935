"""Sandboxes are forked ahead of need; whatever becomes of a spare, a start works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.engines.sandbox.conftest import LEVELS, WALLED, Lab, lab_at

from fogbank.engines.sandbox.daemon.nursery import SPARES_LOST_MAX
from fogbank.engines.sandbox.settings import SandboxSettings

pytestmark = pytest.mark.slow
WANTED = SandboxSettings().spares


@pytest.fixture(params=[LEVELS[0], WALLED[-1]])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = lab_at(request.param)
    yield made
    made.close()


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended while we looked
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def spares_of(zygote: int) -> list[int]:
    """Return the spares of a zygote that are built, the oldest first."""
    found: list[int] = []
    for pid in children(zygote):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() == "fogbank-spare\n":
                found.append(pid)
    return sorted(found)


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def zygote_of(lab: Lab) -> int:
    """Return the zygote that forked something: the one that serves the account of these tests."""
    sandbox = lab.start(function_name="marked")
    assert sandbox.init.error is None
    for zygote in children(lab.daemon_pid):
        for pid in children(zygote):
            if Path(f"/proc/{pid}/comm").read_text() == "marked\n":
                lab.end(sandbox)
                return zygote
    raise AssertionError("nobody forked it")


def works(lab: Lab) -> bool:
    sandbox = lab.start()
    answer = lab.ask(sandbox, "answer = 1")
    lab.end(sandbox)
    return answer == 1


def test_a_zygote_keeps_as_many_spares_as_are_set_and_the_oldest_becomes_the_next(
    lab: Lab,
) -> None:
    zygote = zygote_of(lab)
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)
    oldest = spares_of(zygote)[0]
    sandbox = lab.start(function_name="born")
    assert Path(f"/proc/{oldest}/comm").read_text() == "born\n"
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)
    lab.end(sandbox)
    assert not Path(f"/proc/{oldest}").exists()


def test_without_spares_every_start_forks() -> None:
    lab = lab_at(LEVELS[0], {"spares": 0})
    zygote = zygote_of(lab)
    lab.run(asyncio.sleep(0.2))
    assert spares_of(zygote) == []
    assert works(lab)
    lab.close()


def test_more_starts_at_once_than_spares_all_work(lab: Lab) -> None:
    zygote = zygote_of(lab)
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)
    many = [lab.start() for _ in range(3 * WANTED)]
    assert [lab.ask(sandbox, "answer = 1") for sandbox in many] == [1] * len(many)
    for sandbox in many:
        lab.end(sandbox)


def test_a_spare_that_ends_is_replaced_but_not_for_ever(lab: Lab) -> None:
    zygote = zygote_of(lab)
    for lost in range(1, SPARES_LOST_MAX + 1):
        assert eventually(lambda: len(spares_of(zygote)) == WANTED)
        os.kill(spares_of(zygote)[-1], signal.SIGKILL)
        assert works(lab), lost
    assert eventually(lambda: len(spares_of(zygote)) < WANTED)
    lab.run(asyncio.sleep(0.2))
    assert len(spares_of(zygote)) < WANTED
    for _ in range(2 * WANTED):
        assert works(lab)


def test_a_start_that_fails_gives_its_spare_up_and_the_next_works(lab: Lab) -> None:
    zygote = zygote_of(lab)
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)
    work = next(path for path in (lab.folder / "work").iterdir() if path.is_dir())
    taken = [work / str(number) for number in range(1, 64)]
    for path in taken:
        with contextlib.suppress(FileExistsError):
            path.mkdir()  # where the daemon would make the next sandboxes' own
    with pytest.raises(Exception, match="could not be built"):
        lab.start()
    for path in taken:
        with contextlib.suppress(OSError):
            path.rmdir()
    assert works(lab)
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)


def test_a_spare_can_be_reached_by_no_sandbox(lab: Lab) -> None:
    zygote = zygote_of(lab)
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)
    sandbox = lab.start()
    assert eventually(lambda: len(spares_of(zygote)) == WANTED)
    code = (
        "import os\nfailed = []\n"
        "for pid in event['pids']:\n"
        "    try:\n        os.kill(pid, 9)\n"
        "    except OSError as error: failed.append(error.errno)\n"
        "answer = failed"
    )
    spares = spares_of(zygote)
    assert len(lab.ask(sandbox, code, pids=spares)) == WANTED
    assert spares_of(zygote) == spares
    lab.end(sandbox)


def zygotes_of(daemon: int) -> list[int]:
    return [
        pid
        for pid in children(daemon)
        if Path(f"/proc/{pid}/comm").read_text() == "fogbank-zygote\n"
    ]


def warms_up(lab: Lab) -> bool:
    """Return whether the running daemon gets a zygote by itself."""
    return eventually(
        lambda: lab.run(asyncio.sleep(0.01)) is None and len(zygotes_of(lab.daemon_pid)) == 1
    )


def test_a_zygote_warms_up_for_what_is_expected_also_at_later_daemons_and_servers() -> None:
    lab = lab_at(LEVELS[0], slim=True)
    lab.run(asyncio.sleep(0.5))  # a daemon that expects nothing does nothing
    assert children(lab.daemon_pid) == []
    lab.runtime.expect("cobol")  # this machine has none
    lab.runtime.expect(lab.spec().runtime)
    assert warms_up(lab)
    (zygote,) = zygotes_of(lab.daemon_pid)
    assert zygote_of(lab) == zygote
    first = lab.daemon_pid
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: lab.run(asyncio.sleep(0.01)) is None and lab.daemon_pid != first)
    assert warms_up(lab)
    lab.close(keep=True)
    later = Lab(LEVELS[0], slim=True, folder=lab.folder)
    assert warms_up(later)
    later.close()
