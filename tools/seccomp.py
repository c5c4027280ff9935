"""Generate the system-call filters of sandboxes: classic BPF, one program per architecture.

    python tools/seccomp.py            write src/fogbank/engines/sandbox/inside/seccomp_*.bpf
    python tools/seccomp.py --check    exit 1 if a committed file is not what would be written

The first, loaded at every level, is an allowlist: what is not named is unknown and answers ENOSYS,
so that libraries fall back as on an older kernel; what is named as denied answers EPERM. Some calls
are looked into: ``clone`` may make no namespaces (``clone3``, whose flags lie in memory, is unknown
and glibc falls back), ``socket`` knows Unix, IPv4, IPv6 and the route netlink and nothing raw,
``ioctl`` types into no terminal, ``personality`` and ``prctl`` change nothing that protects.

Two more are stacked on it where there are no namespaces (the kernel takes the strictest answer):
``landlock`` closes what Landlock does not look at (sockets other than TCP, listening, fast open,
System V IPC, watching of files), ``shared`` what one process of a user may do to the files and
processes of the same user (modes, owners, attributes, limits, priorities).
Numbers come from the kernel's tables (checked against libseccomp 2.5.4) and never change.
"""

from __future__ import annotations

import struct
import sys
from itertools import product
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).parents[1] / "src/fogbank/engines/sandbox/inside"
ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

# Each entry: name, number on x86_64, number on aarch64 ("-" where there is none).
ALLOWED = """
read 0 63, write 1 64, open 2 -, close 3 57, stat 4 -, fstat 5 80, lstat 6 -, poll 7 -,
lseek 8 62, mmap 9 222, mprotect 10 226, munmap 11 215, brk 12 214, rt_sigaction 13 134,
rt_sigprocmask 14 135, rt_sigreturn 15 139, ioctl 16 29, pread64 17 67, pwrite64 18 68,
readv 19 65, writev 20 66, access 21 -, pipe 22 -, select 23 -, sched_yield 24 124,
mremap 25 216, msync 26 227, mincore 27 232, madvise 28 233, dup 32 23, dup2 33 -, pause 34 -,
nanosleep 35 101, getitimer 36 102, alarm 37 -, setitimer 38 103, getpid 39 172,
sendfile 40 71, socket 41 198, connect 42 203, accept 43 202, sendto 44 206, recvfrom 45 207,
sendmsg 46 211, recvmsg 47 212, shutdown 48 210, bind 49 200, listen 50 201,
getsockname 51 204, getpeername 52 205, socketpair 53 199, setsockopt 54 208,
getsockopt 55 209, clone 56 220, fork 57 -, vfork 58 -, execve 59 221, exit 60 93,
wait4 61 260, kill 62 129, uname 63 160, fcntl 72 25, flock 73 32, fsync 74 82,
fdatasync 75 83, truncate 76 45, ftruncate 77 46, getdents 78 -, getcwd 79 17, chdir 80 49,
fchdir 81 50, rename 82 -, mkdir 83 -, rmdir 84 -, creat 85 -, link 86 -, unlink 87 -,
symlink 88 -, readlink 89 -, chmod 90 -, fchmod 91 52, chown 92 -, fchown 93 55, lchown 94 -,
umask 95 166, gettimeofday 96 169, getrlimit 97 163, getrusage 98 165, sysinfo 99 179,
times 100 153, getuid 102 174, getgid 104 176, geteuid 107 175, getegid 108 177,
setpgid 109 154, getppid 110 173, getpgrp 111 -, setsid 112 157, getgroups 115 158,
getresuid 118 148, getresgid 120 150, getpgid 121 155, getsid 124 156, capget 125 90,
rt_sigpending 127 136, rt_sigtimedwait 128 137, rt_sigqueueinfo 129 138, rt_sigsuspend 130 133,
sigaltstack 131 132, utime 132 -, personality 135 92, statfs 137 43, fstatfs 138 44,
getpriority 140 141, setpriority 141 140, sched_setparam 142 118, sched_getparam 143 121,
sched_setscheduler 144 119, sched_getscheduler 145 120, sched_get_priority_max 146 125,
sched_get_priority_min 147 126, sched_rr_get_interval 148 127, mlock 149 228, munlock 150 229,
mlockall 151 230, munlockall 152 231, prctl 157 167, arch_prctl 158 -, setrlimit 160 164,
sync 162 81, gettid 186 178, readahead 187 213, setxattr 188 5, lsetxattr 189 6,
fsetxattr 190 7, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11,
llistxattr 195 12, flistxattr 196 13, removexattr 197 14, lremovexattr 198 15,
fremovexattr 199 16, tkill 200 130, time 201 -, futex 202 98, sched_setaffinity 203 122,
sched_getaffinity 204 123, set_thread_area 205 -, get_thread_area 211 -, epoll_create 213 -,
getdents64 217 61, set_tid_address 218 96, restart_syscall 219 128, semtimedop 220 192,
semget 64 190, semop 65 193, semctl 66 191, shmget 29 194, shmat 30 196, shmctl 31 195,
shmdt 67 197, msgget 68 186, msgsnd 69 189, msgrcv 70 188, msgctl 71 187, fadvise64 221 223,
timer_create 222 107, timer_settime 223 110, timer_gettime 224 108, timer_getoverrun 225 109,
timer_delete 226 111, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115,
exit_group 231 94, epoll_wait 232 -, epoll_ctl 233 21, tgkill 234 131, utimes 235 -,
mq_open 240 180, mq_unlink 241 181, mq_timedsend 242 182, mq_timedreceive 243 183,
mq_notify 244 184, mq_getsetattr 245 185, waitid 247 95, inotify_init 253 -,
inotify_add_watch 254 27, inotify_rm_watch 255 28, openat 257 56, mkdirat 258 34,
fchownat 260 54, futimesat 261 -, newfstatat 262 79, unlinkat 263 35, renameat 264 38,
linkat 265 37, symlinkat 266 36, readlinkat 267 78, fchmodat 268 53, faccessat 269 48,
pselect6 270 72, ppoll 271 73, set_robust_list 273 99, get_robust_list 274 100, splice 275 76,
tee 276 77, sync_file_range 277 84, utimensat 280 88, epoll_pwait 281 22, signalfd 282 -,
timerfd_create 283 85, eventfd 284 -, fallocate 285 47, timerfd_settime 286 86,
timerfd_gettime 287 87, accept4 288 242, signalfd4 289 74, eventfd2 290 19,
epoll_create1 291 20, dup3 292 24, pipe2 293 59, inotify_init1 294 26, preadv 295 69,
pwritev 296 70, rt_tgsigqueueinfo 297 240, recvmmsg 299 243, prlimit64 302 261,
sendmmsg 307 269, getcpu 309 168, sched_setattr 314 274, sched_getattr 315 275,
renameat2 316 276, getrandom 318 278, memfd_create 319 279, execveat 322 281,
membarrier 324 283, mlock2 325 284, copy_file_range 326 285, preadv2 327 286, pwritev2 328 287,
pkey_mprotect 329 288, pkey_alloc 330 289, pkey_free 331 290, statx 332 291, rseq 334 293,
pidfd_send_signal 424 424, pidfd_open 434 434, close_range 436 436, openat2 437 437,
faccessat2 439 439, epoll_pwait2 441 441, futex_waitv 449 449, get_mempolicy 239 236,
syncfs 306 267, cachestat 451 451, fchmodat2 452 452, futex_wake 454 454, futex_wait 455 455,
futex_requeue 456 456, mknod 133 -, mknodat 259 33, landlock_create_ruleset 444 444,
landlock_add_rule 445 445, landlock_restrict_self 446 446, process_madvise 440 440
"""

DENIED = """
mount 165 40, umount2 166 39, unshare 272 97, setns 308 268, ptrace 101 117, pivot_root 155 41,
chroot 161 51, setuid 105 146, setgid 106 144, setreuid 113 145, setregid 114 143,
setresuid 117 147, setresgid 119 149, setgroups 116 159, setfsuid 122 151, setfsgid 123 152,
keyctl 250 219, add_key 248 217, request_key 249 218, bpf 321 280, perf_event_open 298 241,
process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272, syslog 103 116,
name_to_handle_at 303 264, open_by_handle_at 304 265, pidfd_getfd 438 438, acct 163 89,
swapon 167 224, swapoff 168 225, reboot 169 142, sethostname 170 161, setdomainname 171 162,
init_module 175 105, finit_module 313 273, delete_module 176 106, kexec_load 246 104,
quotactl 179 60, settimeofday 164 170, clock_settime 227 112, clock_adjtime 305 266,
adjtimex 159 171, fanotify_init 300 262, open_tree 428 428, move_mount 429 429, fsopen 430 430,
fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442, vhangup 153 58,
iopl 172 -, ioperm 173 -, capset 126 91
"""

LOOKED_INTO = ("clone", "socket", "ioctl", "personality", "prctl")

LANDLOCK_DENIED = """
listen 50 201, semget 64 190, semop 65 193, semctl 66 191, semtimedop 220 192, shmget 29 194,
shmat 30 196, shmctl 31 195, shmdt 67 197, msgget 68 186, msgsnd 69 189, msgrcv 70 188,
msgctl 71 187, mq_open 240 180, mq_unlink 241 181, inotify_add_watch 254 27
"""
LANDLOCK_LOOKED_INTO = """
socket 41 198, socketpair 53 199, sendto 44 206, sendmsg 46 211, sendmmsg 307 269
"""

SHARED_DENIED = """
chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -, fchown 93 55,
lchown 94 -, fchownat 260 54, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7,
removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16, truncate 76 45
"""
SHARED_LOOKED_INTO = """
prlimit64 302 261, setpriority 141 140, sched_setparam 142 118, sched_setscheduler 144 119,
sched_setaffinity 203 122, sched_setattr 314 274
"""

_LOAD, _JEQ, _JGE, _JSET, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NUMBER, _ARCHITECTURE = 0, 4
_NAMESPACES = 0x7E02_0000  # every CLONE_NEW* that clone takes
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_RET_ALLOW, _RET_ERRNO = 0x7FFF_0000, 0x0005_0000
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_MASK, _SOCK_STREAM, _SOCK_RAW, _SOCK_SEQPACKET, _SOCK_PACKET = 0xF, 1, 3, 5, 10
_IPPROTO_TCP = 6
_MSG_FASTOPEN = 0x2000_0000
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_MM, _PR_SET_CHILD_SUBREAPER = 4, 22, 35, 36
_PR_SET_PTRACER = 0x5961_6D61
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_JUMP_MAX = 255


class Step(NamedTuple):
    """One instruction; jumps name labels, None is the next instruction."""

    code: int
    operand: int
    when: str | None = None
    otherwise: str | None = None


Program = list[Step | str]
"""Instructions, and between them the labels of what follows."""


def _argument(index: int) -> int:
    return 16 + 8 * index  # the low half, on little-endian machines


def numbers(table: str, column: int) -> dict[str, int]:
    """Return the calls of a table with their numbers on one architecture."""
    rows = [entry.split() for entry in table.replace("\n", " ").split(",") if entry.strip()]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def ranges(verdicts: dict[int, str], otherwise: str) -> list[tuple[int, str]]:
    """Return where the verdict changes: the first number and its label, from 0 on."""
    found: list[tuple[int, str]] = []
    for number in range(max(verdicts) + 2):
        verdict = verdicts.get(number, otherwise)
        if not found or found[-1][1] != verdict:
            found.append((number, verdict))
    return found


def verdicts_of(allowed: str, denied: str, looked_into: str, column: int) -> dict[int, str]:
    """Return the label that each named call leads to; no call is named twice."""
    found: dict[int, str] = {}
    for table, label in ((denied, "denied"), (allowed, "allowed"), (looked_into, "check")):
        for name, number in numbers(table, column).items():
            assert number not in found, name
            looked = label == "check" or name in LOOKED_INTO
            found[number] = f"check {name}" if looked else label
    return found


def _search(found: list[tuple[int, str]], path: str) -> tuple[Program, str]:
    """Return a binary search over the ranges and the label to enter it at."""
    if len(found) == 1:
        return [], found[0][1]
    middle = len(found) // 2
    left, enter_left = _search(found[:middle], path + "l")
    right, enter_right = _search(found[middle:], path + "r")
    label = f"search {path}"
    step = Step(_JGE, found[middle][0], enter_right, enter_left)
    return [label, step, *left, *right], label


def _checks() -> Program:
    return [
        "check clone",
        Step(_LOAD, _argument(0)),
        Step(_JSET, _NAMESPACES, "denied", "allowed"),
        "check personality",
        Step(_LOAD, _argument(0)),
        Step(_JEQ, 0, "allowed"),
        Step(_JEQ, 0xFFFF_FFFF, "allowed", "denied"),
        "check prctl",
        Step(_LOAD, _argument(0)),
        Step(_JEQ, _PR_SET_DUMPABLE, "denied"),
        Step(_JEQ, _PR_SET_PTRACER, "denied"),
        Step(_JEQ, _PR_SET_MM, "denied"),
        Step(_JEQ, _PR_SET_CHILD_SUBREAPER, "denied"),
        Step(_JEQ, _PR_SET_SECCOMP, "denied", "allowed"),
        "check ioctl",
        Step(_LOAD, _argument(1)),
        Step(_JEQ, _TIOCSTI, "denied"),
        Step(_JEQ, _TIOCLINUX, "denied", "allowed"),
        "check socket",
        Step(_LOAD, _argument(0)),
        Step(_JEQ, _AF_UNIX, "not raw"),
        Step(_JEQ, _AF_INET, "not raw"),
        Step(_JEQ, _AF_INET6, "not raw"),
        Step(_JEQ, _AF_NETLINK, None, "no family"),
        Step(_LOAD, _argument(2)),
        Step(_JEQ, 0, "allowed", "no family"),
        "not raw",
        Step(_LOAD, _argument(1)),
        Step(_AND, _SOCK_MASK),
        Step(_JEQ, _SOCK_RAW, "denied"),
        Step(_JEQ, _SOCK_PACKET, "denied", "allowed"),
    ]


def _landlock_checks() -> Program:
    """Return what is asked of calls that Landlock does not look at.

    Landlock's network rules know plain TCP only (not UDP, MPTCP, SCTP), and not the connection
    that a first send with MSG_FASTOPEN opens; a datagram socket of a pair can be sent elsewhere.
    """
    return [
        "check socket",
        Step(_LOAD, _argument(0)),
        Step(_JEQ, _AF_INET, "stream"),
        Step(_JEQ, _AF_INET6, "stream", "no family"),
        "stream",
        Step(_LOAD, _argument(1)),
        Step(_AND, _SOCK_MASK),
        Step(_JEQ, _SOCK_STREAM, None, "denied"),
        Step(_LOAD, _argument(2)),
        Step(_JEQ, 0, "allowed"),
        Step(_JEQ, _IPPROTO_TCP, "allowed", "denied"),
        "check socketpair",
        Step(_LOAD, _argument(1)),
        Step(_AND, _SOCK_MASK),
        Step(_JEQ, _SOCK_STREAM, "allowed"),
        Step(_JEQ, _SOCK_SEQPACKET, "allowed", "denied"),
        "check sendmsg",
        Step(_LOAD, _argument(2)),
        Step(_JSET, _MSG_FASTOPEN, "denied", "allowed"),
        "check sendto",
        "check sendmmsg",
        Step(_LOAD, _argument(3)),
        Step(_JSET, _MSG_FASTOPEN, "denied", "allowed"),
    ]


def _shared_checks() -> Program:
    """Return what is asked of calls that may name another process of the same user."""
    return [
        "check setpriority",
        Step(_LOAD, _argument(1)),
        Step(_JEQ, 0, None, "denied"),
        "check prlimit64",
        "check sched_setparam",
        "check sched_setscheduler",
        "check sched_setaffinity",
        "check sched_setattr",
        Step(_LOAD, _argument(0)),
        Step(_JEQ, 0, "allowed", "denied"),
    ]


class Filter(NamedTuple):
    """One of the programs: what it names, what it asks, and its answer to all other calls."""

    allowed: str
    denied: str
    looked_into: str
    checks: Program
    otherwise: str


FILTERS = {
    "": Filter(ALLOWED, DENIED, "", _checks(), "unknown"),
    "landlock_": Filter("", LANDLOCK_DENIED, LANDLOCK_LOOKED_INTO, _landlock_checks(), "allowed"),
    "shared_": Filter("", SHARED_DENIED, SHARED_LOOKED_INTO, _shared_checks(), "allowed"),
}
"""By the word in the name of their file."""


def program(architecture: str, which: str = "") -> Program:
    """Return a filter of one architecture."""
    column = 1 + list(ARCHITECTURES).index(architecture)
    made = FILTERS[which]
    verdicts = verdicts_of(made.allowed, made.denied, made.looked_into, column)
    search, enter = _search(ranges(verdicts, made.otherwise), "")
    assert enter == "search "
    return [
        Step(_LOAD, _ARCHITECTURE),
        Step(_JEQ, ARCHITECTURES[architecture], None, "unknown"),
        Step(_LOAD, _NUMBER),
        *search,
        *made.checks,
        "allowed",
        Step(_RETURN, _RET_ALLOW),
        "denied",
        Step(_RETURN, _RET_ERRNO | _EPERM),
        "no family",
        Step(_RETURN, _RET_ERRNO | _EAFNOSUPPORT),
        "unknown",
        Step(_RETURN, _RET_ERRNO | _ENOSYS),
    ]


def assemble(steps: Program) -> bytes:
    """Return a program's bytes; every jump goes forward, at most 255 instructions."""
    labels: dict[str, int] = {}
    plain: list[Step] = []
    for step in steps:
        if isinstance(step, str):
            labels[step] = len(plain)
        else:
            plain.append(step)
    out = bytearray()
    for at, step in enumerate(plain):
        jumps = [0 if to is None else labels[to] - at - 1 for to in (step.when, step.otherwise)]
        assert all(0 <= jump <= _JUMP_MAX for jump in jumps), step
        out += struct.pack("<HBBI", step.code, *jumps, step.operand)
    return bytes(out)


def main() -> int:
    """Write the filters, or compare them with the committed ones."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for architecture, which in product(ARCHITECTURES, FILTERS):
        path = TARGET / f"seccomp_{which}{architecture}.bpf"
        made = assemble(program(architecture, which))
        if not check:
            path.write_bytes(made)
        elif not path.exists() or path.read_bytes() != made:
            print(f"{path} is stale: run tools/seccomp.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
