"""What hostile handlers do to whoever looks after them: limits, cleaning, logs, answers, other accounts.

At every level that promises it (docs/operating/sandbox.md); after each the neighbour works.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.engines.sandbox.conftest import ALL, Lab, lab_at
from tests.engines.sandbox.hostile.test_hostile import (
    children,
    newest_sandbox,
    running,
    states_below,
    until,
)

from fogbank.engines.sandbox.daemon import cgroups
from fogbank.platform.runtime.port import Ending, Sandbox, SandboxSpec

pytestmark = pytest.mark.slow
STRANGER = "999999999999"


class Scene(NamedTuple):
    """A level with a neighbour that must go on working."""

    lab: Lab
    neighbour: Sandbox


@pytest.fixture(scope="module", params=ALL)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    lab = lab_at(request.param, {"processes_max": 64})
    yield Scene(lab, lab.start())
    lab.close()


@pytest.fixture(autouse=True)
def _unharmed(scene: Scene) -> Iterator[None]:
    yield
    assert scene.lab.ask(scene.neighbour, "answer = 'works'") == "works"


def own_folder(lab: Lab) -> Path:
    """Return the daemon's directory."""
    tag = f"{cgroups.PREFIX}{lab.daemon_pid}-"
    (folder,) = (path for path in (lab.folder / "work").iterdir() if path.name.startswith(tag))
    return folder


def numbered(lab: Lab) -> set[str]:
    """Return the directories of sandboxes."""
    return {path.name for path in own_folder(lab).iterdir() if path.name.isdigit()}


def test_a_descriptor_bomb_ends_at_the_limit_of_open_files(scene: Scene) -> None:
    sandbox = scene.lab.start()
    code = """
import os
opened = []
try:
    while True: opened.append(os.open('/dev/null', os.O_RDONLY))
except OSError as error:
    answer = [error.errno, len(opened)]
for fd in opened: os.close(fd)
"""
    error, count = scene.lab.ask(sandbox, code)
    assert error == 24  # EMFILE
    assert 900 < count < 1024
    scene.lab.end(sandbox)


TMP = "import os\ntmp = os.environ.get('TMPDIR', '/tmp')\n"
GAMES = {
    "links to what is not ours": "os.symlink(event['victim'], tmp + '/v')\n"
    "os.symlink(event['victim'], tmp + '/d/v')\nos.symlink('/', tmp + '/d/root')",
    "a folder that nobody may read": "open(tmp + '/d/x', 'w').write('x')\nos.chmod(tmp + '/d', 0)",
    "very deep folders": "os.chdir(tmp)\nfor _ in range(3000):\n  os.mkdir('d'); os.chdir('d')",
    "names longer than a path": "os.chdir(tmp)\nfor _ in range(20):\n"
    "  os.mkdir('n' * 250); os.chdir('n' * 250)\nopen('x', 'w').write('x')",
    "names that look like options": "open(tmp + '/-rf', 'w'); os.mkdir(tmp + '/--help')\n"
    "open(tmp + '/a\\nb', 'w')",
    "its own folder closed": "open(tmp + '/d/x', 'w').write('x')\nos.chmod(tmp, 0)",
}


@pytest.mark.parametrize("game", GAMES)
def test_what_a_sandbox_leaves_in_its_tmp_is_removed_and_nothing_else(
    scene: Scene, game: str
) -> None:
    lab = scene.lab
    victim = lab.folder / "victim"
    victim.mkdir(exist_ok=True)
    (victim / "kept").write_text("kept")
    before = numbered(lab)
    sandbox = lab.start()
    (number,) = numbered(lab) - before
    code = f"{TMP}os.mkdir(tmp + '/d')\n{GAMES[game]}\n"
    lab.invoke(sandbox, {"code": code, "victim": str(victim)})
    lab.end(sandbox)
    until("its directory is removed", lambda: number not in numbered(lab))
    assert (victim / "kept").read_text() == "kept"
    assert victim.stat().st_mode & 0o777 == 0o755


HIDDEN = {
    "in a folder that may not be read": "os.mkdir(tmp + '/d', 0o300); os.chdir(tmp + '/d')",
    "below names longer than a path": "os.chdir(tmp)\nfor _ in range(20):\n"
    "  os.mkdir('n' * 250); os.chdir('n' * 250)",
    "very deep": "os.chdir(tmp)\nfor _ in range(70):\n  os.mkdir('d'); os.chdir('d')",
    "in many small files": "os.mkdir(tmp + '/d'); os.chdir(tmp + '/d')",
}


@pytest.mark.parametrize("place", HIDDEN)
def test_a_disk_bomb_cannot_hide_from_the_limit_of_tmp(scene: Scene, place: str) -> None:
    sandbox = scene.lab.start(tmp_mb=16, timeout_ms=60_000)
    code = f"""
{TMP}{HIDDEN[place]}
n = 0
while True:
    with open(str(n), 'wb') as file: file.write(b'x' * 1048576)
    n += 1
    if n == 64:
        import time
        time.sleep(60)
"""
    outcome = scene.lab.invoke(sandbox, {"code": code}, request_id="bomb", ms=60_000)
    assert outcome.ending == Ending.EXITED
    assert "/tmp held more than 16 MB" in scene.lab.text("bomb")
    scene.lab.end(sandbox)


def test_a_time_out_ends_a_handler_that_ignores_every_signal(scene: Scene) -> None:
    lab = scene.lab
    sandbox = lab.start(timeout_ms=400)
    mark = f"7{os.getpid()}{ALL.index(named(lab))}"
    code = f"""
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
if os.fork() == 0:
    os.setsid()
    os.execv('/bin/sleep', ['/bin/sleep', '{mark}'])
while True:
    try: time.sleep(60)
    except BaseException: pass
"""
    outcome = lab.invoke(sandbox, {"code": code}, ms=400)
    assert outcome.ending == Ending.TIMED_OUT
    assert sandbox.closed
    until("its child is gone", lambda: not running(mark))


def named(lab: Lab) -> str:
    """Return the parameter that a lab was made of."""
    return next(
        name
        for name in ALL
        if name.split()[0] == lab.level
        and (name.endswith("ordinary") == lab.ordinary or os.getuid() != 0)
    )


ANSWERS = """
import os, struct
def frame(kind, head, body=b''):
    os.write(3, struct.pack('>BII', kind, len(head), len(body)) + head + body)
def handler(event, context):
    mine = b'{"request_id":"r"}'
    if event == 'two answers':
        frame(5, mine, b'"forged"'); frame(5, mine, b'"another"')
    if event == 'an answer to another request':
        frame(5, b'{"request_id":"s"}', b'"forged"')
    if event == 'an answer to nobody':
        frame(5, b'{}', b'"forged"')
    if event == 'large':
        return 'x' * 7_000_000
    if event == 'head of nonsense':
        frame(5, b'nonsense', b'1')
    if event == 'unknown kind':
        frame(99, b'{}', b'1')
    if event == 'huge numbers':
        frame(5, b'{"maxrss_kb":' + b'9' * 5000 + b'}', b'1')
    if event == 'deep head':
        frame(5, b'{"a":' + b'[' * 100_000 + b']' * 100_000 + b'}', b'1')
    return 'honest'
"""


@pytest.mark.parametrize(
    "event",
    [
        *("two answers", "an answer to another request", "an answer to nobody"),
        *("head of nonsense", "unknown kind", "huge numbers", "deep head"),
    ],
)
def test_a_forged_answer_ends_its_own_sandbox_and_never_answers_another_request(
    scene: Scene, event: str
) -> None:
    lab = scene.lab
    sandbox = lab.start(ANSWERS)
    outcome = lab.invoke(sandbox, event, request_id="r", ms=3000)
    if event == "two answers":  # the first is its own, forged or not; then it has seen its last
        assert (outcome.ending, outcome.payload) == (Ending.RETURNED, b'"forged"')
    else:
        assert outcome.ending == Ending.EXITED

    def is_ended() -> bool:
        turn(lab)
        return sandbox.closed

    until("it is ended", is_ended)
    lab.end(sandbox)


def turn(lab: Lab) -> None:
    """Let the client hear what has come."""
    lab.run(asyncio.sleep(0.01))


def test_an_oversized_answer_is_refused_and_the_sandbox_lives_on(scene: Scene) -> None:
    sandbox = scene.lab.start(ANSWERS, memory_mb=512)
    outcome = scene.lab.invoke(sandbox, "large")
    assert outcome.ending == Ending.RAISED
    assert json.loads(outcome.payload)["errorType"] == "Function.ResponseSizeTooLarge"
    assert json.loads(scene.lab.invoke(sandbox, "plain").payload) == "honest"
    scene.lab.end(sandbox)


def test_children_that_nobody_waits_for_are_few_and_gone_with_the_sandbox(scene: Scene) -> None:
    lab = scene.lab
    sandbox = lab.start(memory_mb=4096)  # shared pages count for each where PSS is hidden
    pid = newest_sandbox(lab.daemon_pid)
    code = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0: os._exit(0)
        count += 1
    answer = 'unlimited'
except OSError:
    answer = count
"""
    # An ordinary user's own processes count too (``RLIMIT_NPROC``): those that end make room.
    assert 0 < lab.ask(sandbox, code) < 256
    zombies = children(pid)
    assert zombies
    lab.end(sandbox)
    until("they are gone", lambda: not any(Path(f"/proc/{p}").exists() for p in zombies))


@pytest.mark.parametrize("closed", ["0, 3", "3, 4", "0, 1024"])
def test_a_handler_that_closes_what_is_not_its_own_ends_or_answers(
    scene: Scene, closed: str
) -> None:
    sandbox = scene.lab.start()
    code = f"import os\nos.closerange({closed})\nanswer = 1"
    outcome = scene.lab.invoke(sandbox, {"code": code}, ms=5000)
    if closed == "0, 3":
        assert outcome.ending == Ending.RETURNED  # its output is its own loss
    else:
        assert outcome.ending == Ending.EXITED
        assert sandbox.closed
    scene.lab.end(sandbox)


WAKERS = """
import os, signal, threading, time
def handler(event, context):
    pids = [os.getpid()]
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            while True:
                for other in os.listdir('/proc') if event else range(1, 40):
                    try: os.kill(int(other), signal.SIGCONT)
                    except (OSError, ValueError): pass
        pids.append(pid)
    return len(pids)
"""


def test_what_will_not_stand_still_is_ended(scene: Scene) -> None:
    lab = scene.lab
    sandbox = lab.start(WAKERS)
    pid = newest_sandbox(lab.daemon_pid)
    assert lab.invoke(sandbox).ending == Ending.RETURNED

    def still() -> bool:
        turn(lab)
        return sandbox.closed or states_below(pid) <= {"T"}

    until("it stands still or is ended", still)
    lab.end(sandbox)


def test_a_flood_of_output_is_handed_on_and_not_kept(scene: Scene) -> None:
    lab = scene.lab
    seen = {"flood": 0}
    quiet = lab.log

    def count(request_id: str, piece: bytes) -> None:
        seen["flood"] += len(piece)

    lab.log = count
    try:
        sandbox = lab.start(timeout_ms=1000)
        before = resident_kb()
        code = "import os\nwhile True: os.write(1, b'x' * 65535 + b'\\n')"
        assert lab.invoke(sandbox, {"code": code}, ms=1000).ending == Ending.TIMED_OUT
        assert seen["flood"] > 1 << 20
        assert resident_kb() - before < 16 << 10
    finally:
        lab.log = quiet
    lab.end(sandbox)


def resident_kb() -> int:
    """Return the memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError


def of_account(spec: SandboxSpec, account: str) -> SandboxSpec:
    """Return a function as another account's."""
    values = {name: getattr(spec, name) for name in spec.__struct_fields__}
    arn = spec.function_arn.replace(spec.account, account)
    return SandboxSpec(**{**values, "account": account, "function_arn": arn})


SECRETS = """
import os, socket
open(os.environ.get('TMPDIR', '/tmp') + '/note', 'w').write(os.environ['AWS_SECRET_ACCESS_KEY'])
s = socket.create_server(('127.0.0.1', 0)) if event['listen'] else None
import builtins; builtins.kept = s
answer = [os.environ.get('TMPDIR', '/tmp'), s.getsockname()[1] if s else 0]
"""
LOOK = """
import os, socket, urllib.request
found = {}
def tried(name, look):
    try: found[name] = look()
    except OSError as error: found[name] = 'refused'
def reads(path):
    with open(path, 'rb') as file: return file.read().decode(errors='replace')
tried('tmp', lambda: os.listdir(event['tmp']))
tried('note', lambda: reads(event['tmp'] + '/note'))
tried('code', lambda: reads(event['place'] + '/app.py'))
for name in ('environ', 'mem', 'maps', 'cwd/app.py', 'root/etc/passwd', 'fd/3'):
    tried(name, lambda: reads(f"/proc/{event['pid']}/{name}"))
tried('signal', lambda: os.kill(event['pid'], 0))
tried('port', lambda: socket.create_connection(('127.0.0.1', event['port']), 1).close())
tried('endpoint', lambda: urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'], timeout=5).read().decode())
for fd in range(4, 64):
    tried(f'fd {fd}', lambda: os.fstat(fd) and 'open')
answer = {name: value for name, value in found.items() if value != 'refused'}
"""


def test_a_function_of_another_account_gets_neither_code_files_credentials_nor_endpoint(
    scene: Scene,
) -> None:
    lab = scene.lab
    if lab.level == "bare":
        with pytest.raises(Exception, match="one account only"):
            start_of(lab, STRANGER)
        return
    victim = start_of(lab, STRANGER, key="AKIAVICTIM")
    pid = newest_sandbox(lab.daemon_pid)
    walled = lab.level == "landlock"
    tmp, port = lab.ask(victim, SECRETS, listen=not walled)
    attacker = lab.start(key="AKIAATTACKER")
    event = {"pid": pid, "port": port}
    here = lab.ask(attacker, LOOK, tmp=tmp, place=victim.spec.code_dir, **event)
    if not walled:
        # Its own loopback has its own endpoint, which says whose it is; its own /tmp is empty.
        assert here.pop("endpoint") == attacker.spec.function_arn
        assert here.pop("tmp") == []
    assert here == {}
    for sandbox in (attacker, victim):
        lab.end(sandbox)


def start_of(lab: Lab, account: str, key: str = "AKIAONE") -> Any:
    """Start a function of an account."""
    spec = of_account(lab.spec(), account)
    return lab.run(lab.runtime.start(spec, lab.credentials(key), lambda r, b: lab.log(r, b)))


def test_the_sockets_of_sandboxd_and_of_other_sandboxes_are_not_there(scene: Scene) -> None:
    lab = scene.lab
    sandbox = lab.start()
    code = """
import os, socket, stat
answer = []
for fd in range(3, 1024):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    answer.append([fd, stat.S_ISSOCK(mode)])
"""
    assert lab.ask(sandbox, code) == [[3, True]]  # its own frames, and nothing else to speak into
    lab.end(sandbox)
