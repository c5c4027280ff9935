"""The committed system-call filters: generated, whole, and right about every call."""

from __future__ import annotations

import errno
import importlib.util
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]


def load_tool() -> Any:
    spec = importlib.util.spec_from_file_location("tools_seccomp", ROOT / "tools/seccomp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tools_seccomp"] = module
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
ARCHITECTURES = list(TOOL.ARCHITECTURES)
ALLOW = 0x7FFF_0000
DENIED = 0x0005_0000 | errno.EPERM


def run(program: bytes, architecture: str, number: int, *arguments: int) -> int:
    """Interpret a classic BPF program over one system call; return its verdict."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, TOOL.ARCHITECTURES[architecture], 0, *padded)
    steps = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, when, otherwise, operand = steps[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return operand
        else:
            test = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }
            at += when if test[code] else otherwise


def verdict(architecture: str, name: str, *arguments: int, which: str = "") -> int:
    column = 1 + ARCHITECTURES.index(architecture)
    numbers = {**TOOL.numbers(TOOL.ALLOWED, column), **TOOL.numbers(TOOL.DENIED, column)}
    return run(committed(architecture, which), architecture, numbers[name], *arguments)


def committed(architecture: str, which: str = "") -> bytes:
    return (TOOL.TARGET / f"seccomp_{which}{architecture}.bpf").read_bytes()


@pytest.mark.parametrize("which", TOOL.FILTERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_committed_program_is_what_the_tool_makes(architecture: str, which: str) -> None:
    assert committed(architecture, which) == TOOL.assemble(TOOL.program(architecture, which))


HOSTILE = """
mount umount2 unshare setns ptrace pivot_root chroot setuid setgid setresuid setgroups keyctl add_key
request_key bpf perf_event_open process_vm_readv process_vm_writev kcmp syslog name_to_handle_at
open_by_handle_at pidfd_getfd acct swapon swapoff reboot sethostname init_module finit_module
delete_module kexec_load quotactl settimeofday clock_settime adjtimex fanotify_init open_tree
move_mount fsopen fsconfig fsmount fspick mount_setattr capset
"""
UNKNOWN = {"clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}
UNKNOWN_ELSEWHERE = {
    "x86_64": {"userfaultfd": 323, "seccomp": 317, "modify_ldt": 154, "kexec_file_load": 320},
    "aarch64": {"userfaultfd": 282, "seccomp": 277, "kexec_file_load": 294},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_breaks_sandboxes_is_named_as_denied_or_left_unknown(architecture: str) -> None:
    for name in HOSTILE.split():
        assert verdict(architecture, name) == DENIED, name
    unknown = 0x0005_0000 | errno.ENOSYS
    for number in (*UNKNOWN.values(), *UNKNOWN_ELSEWHERE[architecture].values()):
        assert run(committed(architecture), architecture, number) == unknown, number


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_behind_walls_only_plain_tcp_streams_and_pairs_are_left(architecture: str) -> None:
    no_family = 0x0005_0000 | errno.EAFNOSUPPORT
    for name, arguments, expected in (
        ("socket", (2, 1, 0), ALLOW),
        ("socket", (10, 1 | 0o2000000, 6), ALLOW),
        ("socket", (2, 1, 262), DENIED),  # MPTCP, which Landlock's rules do not know
        ("socket", (2, 1, 132), DENIED),  # SCTP
        ("socket", (2, 2, 0), DENIED),
        ("socket", (1, 1, 0), no_family),
        ("socket", (16, 3, 0), no_family),
        ("socketpair", (1, 1 | 0o2000000, 0), ALLOW),
        ("socketpair", (1, 5, 0), ALLOW),
        ("socketpair", (1, 2, 0), DENIED),  # could be sent to any path
        ("socketpair", (1, 3, 0), DENIED),
        ("sendto", (3, 0, 0, 0x4000), ALLOW),
        ("sendto", (3, 0, 0, 0x2000_0000), DENIED),  # connects past the rules
        ("sendmsg", (3, 0, 0x2000_0000), DENIED),
        ("sendmsg", (3, 0, 0), ALLOW),
        ("sendmmsg", (3, 0, 1, 0x2000_0000), DENIED),
        ("listen", (3, 1), DENIED),
        ("shmget", (1, 4096, 0), DENIED),
        ("mq_open", (0,), DENIED),
        ("inotify_add_watch", (3, 0, 1), DENIED),
        ("openat", (0,), ALLOW),
        ("fchmod", (3, 0o600), ALLOW),
    ):
        assert verdict(architecture, name, *arguments, which="landlock_") == expected, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_who_shares_a_uid_changes_no_modes_limits_or_priorities(architecture: str) -> None:
    for name, arguments, expected in (
        ("fchmodat", (3,), DENIED),
        ("fchmod", (3,), DENIED),
        ("fchownat", (3,), DENIED),
        ("setxattr", (0,), DENIED),
        ("truncate", (0,), DENIED),
        ("ftruncate", (3,), ALLOW),
        ("prlimit64", (0, 7, 0, 0), ALLOW),
        ("prlimit64", (77, 7, 0, 0), DENIED),
        ("setpriority", (0, 0, 5), ALLOW),
        ("setpriority", (0, 77, 5), DENIED),
        ("setpriority", (2, 0, 5), DENIED),  # all processes of the user
        ("sched_setaffinity", (0,), ALLOW),
        ("sched_setaffinity", (77,), DENIED),
        ("sched_setscheduler", (77,), DENIED),
        ("sched_setattr", (77,), DENIED),
        ("sched_setparam", (77,), DENIED),
    ):
        assert verdict(architecture, name, *arguments, which="shared_") == expected, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_number_has_the_verdict_of_the_tables(architecture: str) -> None:
    column = 1 + ARCHITECTURES.index(architecture)
    allowed = TOOL.numbers(TOOL.ALLOWED, column)
    denied = set(TOOL.numbers(TOOL.DENIED, column).values())
    looked_into = {allowed[name] for name in TOOL.LOOKED_INTO}
    program = committed(architecture)
    for number in range(600):
        if number in looked_into:
            continue
        expected = 0x0005_0000 | errno.ENOSYS
        if number in denied:
            expected = 0x0005_0000 | errno.EPERM
        elif number in allowed.values():
            expected = ALLOW
        assert run(program, architecture, number) == expected, number


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_calls_that_are_looked_into_depend_on_their_arguments(architecture: str) -> None:
    denied = DENIED
    no_family = 0x0005_0000 | errno.EAFNOSUPPORT
    for name, arguments, expected in (
        ("clone", (0x003D_0F00,), ALLOW),  # a thread
        ("clone", (17,), ALLOW),  # a fork
        ("clone", (0x1000_0011,), denied),
        ("clone", (0x4000_0011,), denied),
        ("clone", (0x0200_0000,), denied),
        ("socket", (1, 1, 0), ALLOW),
        ("socket", (2, 1 | 0o2000000, 6), ALLOW),
        ("socket", (10, 2, 17), ALLOW),
        ("socket", (2, 3, 1), denied),
        ("socket", (2, 3 | 0o2000000, 1), denied),
        ("socket", (2, 10, 0), denied),
        ("socket", (16, 3, 0), ALLOW),
        ("socket", (16, 3, 12), no_family),
        ("socket", (17, 3, 0), no_family),
        ("socket", (40, 1, 0), no_family),
        ("prctl", (15,), ALLOW),  # a name
        ("prctl", (1, 9), ALLOW),  # a parent-death signal
        ("prctl", (4, 1), denied),  # dumpable
        ("prctl", (22,), denied),
        ("prctl", (35,), denied),
        ("prctl", (36, 0), denied),  # no longer adopting orphans
        ("prctl", (0x5961_6D61,), denied),
        ("ioctl", (0, 0x541C), denied),
        ("ioctl", (0, 0x5413), ALLOW),
        ("ioctl", (0, 0x5412), denied),
        ("personality", (0xFFFF_FFFF,), ALLOW),
        ("personality", (0x0040_000,), denied),
    ):
        assert verdict(architecture, name, *arguments) == expected, (name, arguments)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_another_architectures_calls_are_unknown(architecture: str) -> None:
    program = committed(architecture)
    other = dict(TOOL.ARCHITECTURES)
    TOOL.ARCHITECTURES[architecture] = 0x4000_0003
    try:
        assert run(program, architecture, 1) == 0x0005_0000 | errno.ENOSYS
    finally:
        TOOL.ARCHITECTURES.update(other)


def test_numbers_agree_between_the_tables_where_the_kernel_shares_them() -> None:
    both = [TOOL.numbers(TOOL.ALLOWED + "," + TOOL.DENIED, column) for column in (1, 2)]
    shared = [name for name in both[0] if both[0][name] >= 424]
    assert shared
    assert all(both[0][name] == both[1][name] for name in shared)
