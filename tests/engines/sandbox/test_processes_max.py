"""The control group's own bound on processes, where no limit of the user stands before it.

In a sandbox ``RLIMIT_NPROC`` has the same number, and the kernel asks it first (copy_process looks
at the user's limit before cgroup_can_fork): a fork bomb there (test_isolation) shows that one alone.
Root is not held to the user's limit, so that here the group is what says no.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROCESSES_MAX = 8
BOMB = f"""
import json, os, signal, sys
from fogbank.engines.sandbox.daemon import cgroups

groups, why = cgroups.find()
if groups is None:
    print(json.dumps(why))
    sys.exit()
group = groups.create(1, {PROCESSES_MAX})
read, write = os.pipe()
bomb = os.fork()
if bomb == 0:
    for entry in group.entries():
        os.write(entry, b"0")
    forked = 0
    try:
        while forked < 10 * {PROCESSES_MAX}:
            if os.fork() == 0:
                signal.pause()
            forked += 1
    except OSError as error:
        os.write(write, json.dumps([forked + 1, error.errno]).encode())
    else:
        os.write(write, b'"unlimited"')
    signal.pause()
print(os.read(read, 100).decode())
for path in group.paths.values():
    cgroups._kill_tree(path)
os.waitpid(bomb, 0)
while not group.remove():
    pass
groups.remove()
"""


def test_a_group_bounds_its_processes_though_no_limit_of_the_user_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOMB], capture_output=True, text=True, check=True, timeout=60
    )
    answer = json.loads(done.stdout)
    if isinstance(answer, str):
        assert answer != "unlimited"
        pytest.skip("the full level needs root and a control group")
    assert answer == [PROCESSES_MAX, errno.EAGAIN]
