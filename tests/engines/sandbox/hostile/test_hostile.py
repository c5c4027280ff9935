"""Hostile handlers through the real runtime, at every level, against host and neighbour.

The table in docs/operating/sandbox.md says what each attack gets at each level; these tests measure
it. ``pytest --rewrite`` renews the table from what this machine does: read the diff, because a cell
that turns to ``reached`` is a hole. After each level's attacks host and neighbour still work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.engines.sandbox.conftest import (
    ALL,
    ORDINARY_UID,
    Lab,
    descendants,
    lab_at,
    processes_of,
)

from fogbank.engines.sandbox.rest import FREEZE_AFTER_S
from fogbank.platform.runtime.port import Ending, Sandbox

pytestmark = pytest.mark.slow
MACHINES_NETWORK = ("connect to metadata", "connect to a private range")
"""What these find without walls depends on the machine's network, not on us."""

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/operating/sandbox.md"
ATTACKS = Path(__file__).with_name("attacks.py").read_text()
NOTE = """
import os, ctypes
def handler(event, context):
    path = os.environ.get('TMPDIR', '/tmp') + '/note'
    open(path, 'w').write('private')
    os.chmod(os.path.dirname(path), 0o700) if event else None
    libc = ctypes.CDLL(None)
    return [path, os.getpid(), libc.shmget(4343, 4096, 0o1600)]
"""
COLUMNS = (
    "full",
    "rootless",
    "rootless ordinary",
    "landlock",
    "landlock ordinary",
    "bare",
    "bare ordinary",
)
NAMES = ("1 root", "2 root", "2 user", "3 root", "3 user", "4 root", "4 user")
NAMED = dict(zip(COLUMNS, NAMES, strict=True))


class Scene(NamedTuple):
    """A level with a neighbour to attack and a canary that must go on working."""

    lab: Lab
    neighbour: Sandbox
    event: dict[str, Any]


@pytest.fixture(scope="module", params=ALL)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    lab = lab_at(request.param, processes_of(request.param))
    with ExitStack() as stack:
        stack.callback(lab.close)
        neighbour = lab.start(NOTE, function_name="neighbour")
        path, _, _ = json.loads(lab.invoke(neighbour, None).payload)
        yield Scene(lab, neighbour, {**bait(lab, stack), "other_tmp": path, "shm": 4343})


def bait(lab: Lab, stack: ExitStack) -> dict[str, Any]:
    """Lay out what of the host can be attacked."""
    data = lab.folder / "data.mdb"
    data.write_text("the store's")
    data.chmod(0o600)
    if lab.ordinary and os.getuid() == 0:
        os.chown(data, ORDINARY_UID, ORDINARY_UID)
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    name = f"fogbank-hostile-{os.getpid()}-{lab.folder.name}"
    abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
    abstract.bind(f"\0{name}")
    abstract.listen()
    unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    unix.bind(str(lab.folder / "socket"))
    unix.listen()
    datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    datagrams.bind(str(lab.folder / "datagrams"))
    for name_of_socket in ("socket", "datagrams"):
        (lab.folder / name_of_socket).chmod(0o777)
    other = lab.code("SECRET = 1\n")
    Path(other, "app.py").chmod(0o600)
    if lab.ordinary and os.getuid() == 0:
        os.chown(Path(other, "app.py"), ORDINARY_UID, ORDINARY_UID)
    daemon = lab.daemon_pid
    return {
        "data": str(data),
        "other_code": f"{other}/app.py",
        "other_pid": newest_sandbox(daemon),
        "daemon_pid": daemon,
        "host_port": server.getsockname()[1],
        "host_udp": udp.getsockname()[1],
        "abstract": name,
        "unix": str(lab.folder / "socket"),
        "unix_datagrams": str(lab.folder / "datagrams"),
    }


def newest_sandbox(daemon: int) -> int:
    """Return the sandbox that was made last: zygotes are the daemon's children, it is theirs."""
    forked = [sandbox for zygote in children(daemon) for sandbox in children(zygote)]
    awake = [pid for pid in forked if name_of(pid) not in {"fogbank-zygote", "fogbank-spare"}]
    return max(awake, key=lambda pid: (started(pid), pid))


def started(pid: int) -> int:
    """Return when a process began, in clock ticks: process numbers start again from below."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def name_of(pid: int) -> str:
    """Return what a process calls itself; one that waits to become a sandbox has no other name."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended while we looked
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def table() -> dict[str, list[str]]:
    """Return the page's table: attack -> what it gets, by level."""
    rows: dict[str, list[str]] = {}
    for line in PAGE.read_text().partition("## Measured")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(COLUMNS) + 1 and cells[0] not in {"attack", "---"}:
            rows[cells[0]] = cells[1:]
    return rows


def test_every_attack_gets_what_the_page_says(scene: Scene, request: pytest.FixtureRequest) -> None:
    attacker = scene.lab.start(ATTACKS, function_name="attacker")
    outcome = scene.lab.invoke(attacker, scene.event, ms=60_000)
    assert outcome.ending == Ending.RETURNED, outcome
    got: dict[str, str] = json.loads(outcome.payload)
    scene.lab.end(attacker)
    if scene.lab.level == "bare":
        got.update(dict.fromkeys(MACHINES_NETWORK, "open"))
        if os.getuid() != 0:  # the code is the user's own, and so is what rewrites it
            assert got.pop("write code") == "reached"
    column = COLUMNS.index(named(scene.lab))
    rows = table()
    if request.config.getoption("--rewrite"):
        renew(rows, got, column)
        return
    said = {name: rows.get(name, ["missing"] * len(COLUMNS))[column].split()[0] for name in got}
    assert {name: words.split()[0] for name, words in got.items()} == said
    assert scene.lab.invoke(scene.neighbour, None).ending == Ending.RETURNED
    assert (
        Path(scene.event["data"]).read_text() == "the store's"
        or said["empty the data"] == "reached"
    )


def named(lab: Lab) -> str:
    """Return the column of a lab."""
    user = " ordinary" if lab.ordinary and lab.level != "full" else ""
    return f"{lab.level}{user}"


def renew(rows: dict[str, list[str]], got: dict[str, str], column: int) -> None:
    """Write what was measured into one column of the page's table."""
    for name, words in got.items():
        rows.setdefault(name, [""] * len(COLUMNS))[column] = words
    text = PAGE.read_text()
    head = "| attack | " + " | ".join(NAMED[c] for c in COLUMNS) + " |\n"
    lines = head + "| --- " * (len(COLUMNS) + 1) + "|\n"
    lines += "".join(f"| {name} | {' | '.join(rows[name])} |\n" for name in got)
    before, _, after = text.partition("<!-- measured -->\n")
    PAGE.write_text(before + "<!-- measured -->\n" + lines + after[after.index("<!-- end -->") :])


def test_the_page_shows_no_hole_that_levels_1_and_2_close() -> None:
    seen_by_design = {"process madvise"}
    for name, cells in table().items():
        if name not in seen_by_design:
            assert not [cell for cell in cells[:3] if cell == "reached"], name
    behind_walls = {name for name, cells in table().items() if "reached" in cells[3:5]}
    assert behind_walls <= set(), behind_walls


BOMBS = {
    "forks": "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
    "memory": "x = []\nwhile True: x.append(bytearray(b'x' * 1048576))",
    "disk": "import os\nd = os.environ.get('TMPDIR', '/tmp')\nn = 0\nwhile True:\n  n += 1\n"
    "  try: open(f'{d}/{n}', 'wb').write(b'x' * 8388608)\n  except OSError: pass",
    "processor": "while True: pass",
    "frames": "import os\nwhile True: os.write(3, b'\\xff' * 65536)",
    "forged answers": "import os, struct\nb = b'{}'\n"
    "os.write(3, struct.pack('>BII', 5, 2, 1) * 1 + b + b'1' + struct.pack('>BII', 5, 2, 1) + b + b'2')\n"
    "import time; time.sleep(60)",
    "oversized frame": "import os, struct, time\nos.write(3, struct.pack('>BII', 5, 2, 1 << 31))\ntime.sleep(60)",
    "an exit": "import os; os._exit(3)",
}


@pytest.mark.bomb
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_its_own_sandbox_only_and_leaves_nothing(scene: Scene, bomb: str) -> None:
    lab = scene.lab
    attacker = lab.start(memory_mb=128, tmp_mb=64, timeout_ms=1500)
    below = newest_sandbox(lab.daemon_pid)
    outcome = lab.invoke(attacker, {"code": BOMBS[bomb]}, ms=1500)
    forged = bomb == "forged answers" and outcome.ending == Ending.RETURNED
    assert forged or outcome.ending in {Ending.TIMED_OUT, Ending.OUT_OF_MEMORY, Ending.EXITED}
    lab.end(attacker)
    assert attacker.closed
    until("it is gone", lambda: not Path(f"/proc/{below}").exists())
    assert lab.invoke(scene.neighbour, None).ending == Ending.RETURNED


def test_a_daemon_left_behind_dies_with_its_sandbox(scene: Scene) -> None:
    mark = f"8{os.getpid()}{COLUMNS.index(named(scene.lab))}"
    code = f"""
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv('/bin/sleep', ['/bin/sleep', '{mark}'])
    os._exit(0)
os.wait()
os._exit(0)
"""
    attacker = scene.lab.start()
    assert scene.lab.invoke(attacker, {"code": code}).ending == Ending.EXITED
    until("it is gone", lambda: not running(mark))


def running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if re.fullmatch(rb"/bin/sleep\0" + mark.encode() + rb"\0", path.read_bytes()):
                return True
        except OSError:
            continue
    return False


def states_below(pid: int) -> set[str]:
    """Return in which states a process and its descendants are; nothing once it has ended."""
    found: set[str] = set()
    for member in {pid, *descendants(pid)}:
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{member}/stat").read_text(errors="replace")
            found.add(stat.rpartition(")")[2].split()[0])
    return found


def until(what: str, done: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


RESTLESS = """
import os, threading, time
ticks = []
def work():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.005)
def handler(event, context):
    if not ticks:
        threading.Thread(target=work, daemon=True).start()
        if os.fork() == 0:
            while True: time.sleep(0.005)
        time.sleep(0.05)
    seen = len(ticks)
    while len(ticks) == seen: time.sleep(0.005)
    return max(b - a for a, b in zip(ticks, ticks[1:]))
"""


def test_what_goes_on_after_the_answer_stands_still_until_the_next_invocation(scene: Scene) -> None:
    lab = scene.lab
    sandbox = lab.start(RESTLESS)
    pid = newest_sandbox(lab.daemon_pid)
    assert lab.invoke(sandbox).ending == Ending.RETURNED
    lab.run(asyncio.sleep(FREEZE_AFTER_S))  # the client asks for it from its own loop
    until("it stands still", lambda: states_below(pid) == {"T"})
    frozen_at = time.monotonic()
    until("some time has passed", lambda: time.monotonic() > frozen_at + 0.5)
    assert states_below(pid) == {"T"}
    assert json.loads(lab.invoke(sandbox).payload) > 0.5, "a thread ran between"
    lab.end(sandbox)
