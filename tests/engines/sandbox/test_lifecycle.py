"""Births and deaths: of sandboxes, of the daemon, of the server; nothing is ever left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import ALL, LEVELS, Lab, descendants, groups_left, lab_at

from fogbank.base.errors import Unavailable
from fogbank.engines.sandbox.daemon import cgroups
from fogbank.platform.runtime.port import Ending, Level

pytestmark = [pytest.mark.slow, pytest.mark.crash]


def processes_of(folder: Path) -> list[str]:
    """Return the daemons that serve a lab."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in line and b"sandbox.daemon" in line:
                found.append(entry.name)
    return found


def living(pids: set[int]) -> set[int]:
    """Return which processes still live; one that only waits to be collected does not."""
    found: set[int] = set()
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if stat.rpartition(")")[2].split()[0] != "Z":
            found.add(pid)
    return found


def eventually(happens: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Return whether something happens within a time."""
    until = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(params=ALL)
def fresh(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A runtime of this test's own."""
    made = lab_at(request.param, slim=True)
    yield made
    made.close()


def daemon_of(lab: Lab) -> int:
    """Return the daemon; a child that has not yet become a zygote has its command line."""
    found = set(processes_of(lab.folder))
    (pid,) = [p for p in found if parent_of(p) not in found]
    return int(pid)


def parent_of(pid: str) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return pid  # gone since: a child that has ended
    return stat.rpartition(")")[2].split()[1]


def test_closing_leaves_no_process_directory_or_control_group(fresh: Lab) -> None:
    sandbox = fresh.start()
    fresh.ask(sandbox, "import tempfile; tempfile.mkstemp(); answer = 1")
    pid = daemon_of(fresh)
    tag = f"{cgroups.PREFIX}{pid}-"
    below = descendants(pid)
    assert len(below) >= 2
    assert any(path.name.startswith(tag) for path in (fresh.folder / "work").iterdir())
    fresh.run(fresh.runtime.close())
    assert eventually(lambda: not living({pid, *below}))
    assert list((fresh.folder / "work").iterdir()) == []
    assert groups_left(tag) == []
    assert sandbox.closed


def test_ending_a_sandbox_frees_what_it_held(fresh: Lab) -> None:
    sandbox = fresh.start()
    fresh.ask(sandbox, "import os, tempfile; os.mkdir(tempfile.mkdtemp() + '/b'); answer = 1")
    (own,) = (fresh.folder / "work").iterdir()
    before = {path.name for path in own.iterdir()}
    assert "1" in before
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        other = fresh.start()
        fresh.end(other)
        assert other.closed
    # Fewer, where what earlier tests left is collected meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    fresh.end(sandbox)
    assert eventually(lambda: {path.name for path in own.iterdir()} == before - {"1"})
    namespaces = fresh.runtime.level <= Level.ROOTLESS
    assert len(fresh.served) == (6 if namespaces else 0)


def test_a_sandbox_that_was_closed_refuses_invocations(fresh: Lab) -> None:
    sandbox = fresh.start()
    fresh.end(sandbox)
    with pytest.raises(Unavailable):
        fresh.invoke(sandbox)
    fresh.end(sandbox)


def test_an_invocation_that_is_cancelled_ends_its_sandbox(fresh: Lab) -> None:
    sandbox = fresh.start()

    async def cancelled() -> None:
        work = sandbox.invoke(
            "r", b'{"code": "import time; time.sleep(60)"}', fresh.clock.now_ms() + 60_000, {}
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work, 0.1)
        await sandbox.close()

    fresh.run(cancelled())
    assert sandbox.closed


def test_many_sandboxes_start_at_once(fresh: Lab) -> None:
    async def all_at_once() -> list[Any]:
        starts = [
            fresh.runtime.start(fresh.spec(), fresh.credentials(), lambda r, b: fresh.log(r, b))
            for _ in range(30)
        ]
        sandboxes = await asyncio.gather(*starts)
        deadline = fresh.clock.now_ms() + 20_000
        outcomes = await asyncio.gather(
            *(
                s.invoke(str(i), b'{"code": "answer = 1"}', deadline, {})
                for i, s in enumerate(sandboxes)
            )
        )
        await asyncio.gather(*(s.close() for s in sandboxes))
        return outcomes

    assert [o.payload for o in fresh.run(all_at_once())] == [b"1"] * 30


def test_no_more_sandboxes_than_allowed(request: pytest.FixtureRequest) -> None:
    del request
    lab = Lab(LEVELS[-1], {"sandboxes_max": 2}, slim=True)
    two = [lab.start(), lab.start()]
    with pytest.raises(Unavailable, match="2 sandboxes are living already"):
        lab.start()
    lab.end(two.pop())
    two.append(lab.start())
    lab.close()
    assert all(sandbox.closed for sandbox in two)


def test_a_zygote_is_replaced_after_its_forks_and_serves_until_then() -> None:
    lab = Lab(LEVELS[-1], {"forks_max": 2})
    seeds: set[int] = set()
    for _ in range(12):
        sandbox = lab.start()
        seeds.add(lab.ask(sandbox, "answer = hash('x')"))
        lab.end(sandbox)
        time.sleep(0.05)
    assert len(seeds) > 1
    lab.close()


def test_two_accounts_never_share_a_zygote() -> None:
    lab = Lab(LEVELS[-1])
    seeds: list[int] = []
    for account in ("111111111111", "222222222222"):
        spec = lab.spec()
        spec = type(spec)(
            **{**{f: getattr(spec, f) for f in spec.__struct_fields__}, "account": account}
        )
        sandbox = lab.run(lab.runtime.start(spec, lab.credentials(), lambda r, b: lab.log(r, b)))
        seeds.append(lab.ask(sandbox, "answer = hash('x')"))
    assert seeds[0] != seeds[1]
    lab.close()


def test_a_missing_code_directory_is_weather(fresh: Lab) -> None:
    spec = fresh.spec()
    os.rename(spec.code_dir, f"{spec.code_dir}-gone")
    with pytest.raises(Unavailable):
        fresh.run(fresh.runtime.start(spec, fresh.credentials(), lambda r, b: fresh.log(r, b)))
    assert fresh.runtime.status()["sandboxes"] == 0


def test_an_unknown_runtime_says_what_to_install(fresh: Lab) -> None:
    assert "the packages python3.19" in fresh.runtime.missing("python3.19")
    assert "has not built" in fresh.runtime.missing("dotnet8")


def test_the_status_says_level_limits_and_reasons(fresh: Lab) -> None:
    status = fresh.runtime.status()
    assert status["level"] == fresh.level
    assert status["daemon"] == "running"
    if fresh.level == "full":
        assert fresh.runtime.level == Level.FULL
        assert "cgroup v" in str(status["cgroup"])
        assert status["reasons"] == []
    else:
        assert fresh.runtime.level == Level[fresh.level.upper()]
        assert "memory is watched every 50 ms" in str(status["reasons"])


@pytest.mark.parametrize("level", ALL)
def test_a_killed_daemon_takes_every_sandbox_with_it_and_is_started_again(level: str) -> None:
    lab = lab_at(level, slim=True)
    sandbox = lab.start()
    busy = lab.start()
    pid = daemon_of(lab)
    below = descendants(pid)

    async def crash() -> None:
        work = busy.invoke(
            "r", b'{"code": "import time; time.sleep(60)"}', lab.clock.now_ms() + 60_000, {}
        )
        task = asyncio.get_running_loop().create_task(work)
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await task
        with pytest.raises(Unavailable):
            await lab.runtime.start(lab.spec(), lab.credentials(), lambda _, __: None)

    lab.run(crash())
    assert sandbox.closed
    assert busy.closed
    assert eventually(lambda: not living(below))

    async def back() -> None:
        until = lab.clock.now_ms() + 60_000
        while lab.runtime.status()["daemon"] != "running":
            assert lab.clock.now_ms() < until
            await asyncio.sleep(0.02)

    lab.run(back())
    again = lab.start()
    assert lab.ask(again, "answer = 'back'") == "back"
    assert lab.runtime.status()["restarts"] == 1
    # Swept by the new daemon: at once, or later what was dying still.
    assert eventually(lambda: not groups_left(f"{cgroups.PREFIX}{pid}-"), 30)
    assert eventually(lambda: len(list((lab.folder / "work").iterdir())) == 1, 30)
    lab.close()


def test_what_a_killed_daemon_leaves_cannot_hinder_the_next(fresh: Lab) -> None:
    sandbox = fresh.start()
    code = """
import os
os.chdir(os.environ.get('TMPDIR', '/tmp'))
os.mkdir('closed', 0o300)
open('closed/x', 'w')
for _ in range(3000):
    os.mkdir('d')
    os.chdir('d')
answer = 1
"""
    old = daemon_of(fresh)
    os.kill(old, signal.SIGSTOP)  # or it would see the depth, and end the sandbox
    assert fresh.ask(sandbox, code) == 1
    os.kill(old, signal.SIGKILL)
    assert fresh.work_again() == "works"
    assert daemon_of(fresh) != old
    work = fresh.folder / "work"
    tag = f"{cgroups.PREFIX}{old}-"
    assert eventually(lambda: not [p for p in work.iterdir() if p.name.startswith(tag)], 30)


def test_a_killed_zygote_ends_its_sandboxes_and_the_next_start_works(fresh: Lab) -> None:
    sandbox = fresh.start()
    (zygote, *_) = sorted(descendants(daemon_of(fresh)))
    os.kill(zygote, signal.SIGKILL)

    async def ended() -> None:
        await asyncio.wait_for(sandbox.ended, 60)

    fresh.run(ended())
    assert sandbox.closed
    again = fresh.start()
    assert fresh.ask(again, "answer = 3") == 3


SERVER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from tests.engines.sandbox.conftest import Lab
lab = Lab(sys.argv[2], slim=True)
sandbox = lab.start()
lab.invoke(sandbox, {"code": "import subprocess; subprocess.Popen(['/bin/sleep', '300'])"})
print(lab.folder, flush=True)
lab.invoke(sandbox, {"code": "import time; time.sleep(300)"}, ms=300_000)
"""


@pytest.mark.parametrize("level", ALL)
def test_a_killed_server_leaves_nothing_behind(level: str) -> None:
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, root, level], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        folder = Path(server.stdout.readline().strip())
        (pid,) = processes_of(folder)
        below = descendants(int(pid))
        assert len(below) >= 3
        server.send_signal(signal.SIGKILL)
    assert eventually(lambda: not living({int(pid), *below}), 10)
    assert list((folder / "work").iterdir()) == []
    assert groups_left(f"{cgroups.PREFIX}{pid}-") == []
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_without_namespaces_functions_run_with_a_loud_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lab = Lab("bare", slim=True)
    assert lab.runtime.level == Level.BARE
    assert "FUNCTIONS ARE NOT ISOLATED ON THIS MACHINE" in capfd.readouterr().err
    sandbox = lab.start(timeout_ms=300)
    path, root = lab.ask(
        sandbox, "import os; answer = [os.getcwd(), os.environ['LAMBDA_TASK_ROOT']]"
    )
    assert path == root
    assert path.startswith(str(lab.folder))
    status = lab.ask(sandbox, "answer = open('/proc/self/status').read()")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    code = "import subprocess, time; subprocess.Popen(['/bin/sleep', '301']); time.sleep(60)"
    assert lab.invoke(sandbox, {"code": code}, ms=300).ending == Ending.TIMED_OUT
    assert subprocess.run(["pgrep", "-fx", "/bin/sleep 301"], check=False).returncode == 1
    stranger = lab.spec()
    values = {name: getattr(stranger, name) for name in stranger.__struct_fields__}
    stranger = type(stranger)(**{**values, "account": "999999999999"})
    with pytest.raises(Unavailable, match="one account only"):
        lab.run(lab.runtime.start(stranger, lab.credentials(), lambda _, __: None))
    hog = lab.start(memory_mb=128)
    outcome = lab.invoke(hog, {"code": "x = [bytearray(b'x' * 1048576) for _ in range(2000)]"})
    assert outcome.ending == Ending.OUT_OF_MEMORY
    lab.close()


@pytest.mark.skipif(os.getuid() != 0, reason="the full level needs root and a control group")
def test_a_level_that_cannot_be_had_is_refused_and_leaves_nothing() -> None:
    folder = Path(tempfile.mkdtemp(prefix="fogbank-lab-", dir="/tmp"))
    with pytest.raises(Unavailable, match=r"level 1 \(full\) .* it needs root"):
        Lab("full ordinary", folder=folder)
    assert list((folder / "work").iterdir()) == []
    (folder / "work").rmdir()
    folder.rmdir()


def test_strict_cpu_gives_a_function_the_share_that_its_memory_buys() -> None:
    lab = Lab(LEVELS[0], {"strict_cpu": True}, slim=True)
    sandbox = lab.start(memory_mb=177)
    code = """
import time
end = time.monotonic() + 1.0
while time.monotonic() < end: pass
answer = time.process_time()
"""
    used_before = lab.ask(sandbox, "import time; answer = time.process_time()")
    used = lab.ask(sandbox, code) - used_before
    # 177 MB are a tenth of 1,769; where no control group is ours the status says so.
    limited = lab.runtime.level == Level.FULL
    assert used < 0.5 if limited else "no share of the processor" in str(lab.runtime.status())
    lab.close()
