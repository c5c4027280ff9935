"""What hostile handlers try, as one module that runs inside the real sandbox.

Each attack returns a word: ``refused`` with the error's name where the kernel said no, ``absent``
where there is nothing to attack, ``reached`` where it got through. It is given ``event``: paths,
ports, process ids and names of the host and of the other sandbox.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket

libc = ctypes.CDLL(None, use_errno=True)
ATTACKS = {}
NUMBERS = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
CALLS = {
    "pivot_root": (155, 41), "bpf": (321, 280), "perf_event_open": (298, 241), "keyctl": (250, 219),
    "add_key": (248, 217), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "clone3": (435, 435), "fsopen": (430, 430), "open_tree": (428, 428), "seccomp": (317, 277),
    "kexec_load": (246, 104), "reboot": (169, 142), "swapon": (167, 224), "init_module": (175, 105),
    "quotactl": (179, 60), "pidfd_getfd": (438, 438), "process_vm_readv": (310, 270),
    "clock_settime": (227, 112), "open_by_handle_at": (304, 265), "kcmp": (312, 272),
    "process_madvise": (440, 440), "modify_ldt": (154, -1),
}  # fmt: skip


def attack(function):
    ATTACKS[function.__name__.replace("_", " ")] = function
    return function


def refusal(error):
    return f"refused {errno.errorcode.get(error.errno, error.errno)}"


def checked(result):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return "reached"


def call(name, *arguments):
    number = CALLS[name][NUMBERS]
    if number < 0:
        return "absent"
    cooked = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *cooked))


for _name, _arguments in {
    "pivot_root": (b"/tmp", b"/tmp"), "bpf": (0, None, 0), "perf_event_open": (None, 0, -1, -1, 0),
    "keyctl": (0, -3, 0, 0), "add_key": (b"user", b"x", b"y", 1, -3), "userfaultfd": (0,),
    "io_uring_setup": (1, None), "clone3": (None, 0), "fsopen": (b"tmpfs", 0),
    "open_tree": (-100, b"/", 1), "seccomp": (0, 0, None), "kexec_load": (0, 0, None, 0),
    "reboot": (0, 0, 0, None), "swapon": (b"/tmp/x", 0), "init_module": (None, 0, b""),
    "quotactl": (0, None, 0, None), "pidfd_getfd": (0, 0, 0),
    "process_vm_readv": (1, None, 0, None, 0, 0), "clock_settime": (0, None),
    "open_by_handle_at": (-100, None, 0), "kcmp": (1, 1, 0, 0, 0), "modify_ldt": (0, None, 0),
}.items():  # fmt: skip
    ATTACKS[_name] = lambda event, n=_name, a=_arguments: call(n, *a)


@attack
def mount(event):
    return checked(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))


@attack
def remount_writable(event):
    return checked(libc.mount(None, b"/usr", None, 0x20 | 0x1000, None))


@attack
def unshare_user(event):
    return checked(libc.unshare(0x10000000))


@attack
def setns(event):
    return checked(libc.setns(os.open("/proc/self/ns/net", 0), 0))


@attack
def chroot(event):
    os.chroot("/tmp")
    return "reached"


@attack
def mknod_disk(event):
    os.mknod(os.environ.get("TMPDIR", "/tmp") + "/disk", 0o60600, os.makedev(254, 0))
    return "reached"


@attack
def setuid_root(event):
    os.setuid(0)
    return "reached"


@attack
def ptrace(event):
    return checked(libc.ptrace(16, event["other_pid"], 0, 0))


@attack
def prctl_dumpable(event):
    return checked(libc.prctl(4, 1, 0, 0, 0))


@attack
def personality(event):
    return checked(libc.personality(0x0040000))


@attack
def type_into_terminal(event):
    return checked(libc.ioctl(1, 0x5412, b"x"))


def reads(path):
    with open(path, "rb") as file:
        file.read(1)
    return "reached"


def writes(path):
    with open(path, "ab") as file:
        file.write(b"")
    return "reached"


@attack
def read_shadow(event):
    return reads("/etc/shadow")


@attack
def read_data_of_the_server(event):
    return reads(event["data"])


@attack
def read_code_of_another(event):
    return reads(event["other_code"])


@attack
def read_tmp_of_another(event):
    return reads(event["other_tmp"])


@attack
def read_environment_of_another(event):
    return reads(f"/proc/{event['other_pid']}/environ")


@attack
def read_environment_of_sandboxd(event):
    return reads(f"/proc/{event['daemon_pid']}/environ")


@attack
def read_memory_of_another(event):
    return reads(f"/proc/{event['other_pid']}/mem")


@attack
def read_command_lines_of_the_host(event):
    return reads(f"/proc/{event['daemon_pid']}/cmdline")


@attack
def follow_a_link_out_of_tmp(event):
    link = os.environ.get("TMPDIR", "/tmp") + "/link"
    os.symlink(event["data"], link)
    try:
        return reads(link)
    finally:
        os.unlink(link)


@attack
def write_system(event):
    return writes("/usr/fogbank-hostile")


@attack
def write_code(event):
    return writes(os.environ["LAMBDA_TASK_ROOT"] + "/hostile")


@attack
def write_proc(event):
    return writes("/proc/sys/kernel/hostname")


@attack
def write_sys(event):
    return writes("/sys/kernel/mm/ksm/run")


@attack
def change_mode_of_the_data(event):
    os.chmod(event["data"], 0o777)
    return "reached"


@attack
def empty_the_data(event):
    os.truncate(event["data"], 0)
    return "reached"


@attack
def signal_another(event):
    os.kill(event["other_pid"], 0)
    return "reached"


@attack
def signal_sandboxd(event):
    os.kill(event["daemon_pid"], 0)
    return "reached"


@attack
def signal_by_descriptor(event):
    signal.pidfd_send_signal(os.pidfd_open(event["daemon_pid"]), 0)
    return "reached"


@attack
def limit_sandboxd(event):
    resource.prlimit(event["daemon_pid"], resource.RLIMIT_CORE, (0, 0))
    return "reached"


def opens(*arguments):
    socket.socket(*arguments).close()
    return "reached"


for _name, _arguments in {
    "socket raw": (2, 3, 1), "socket packet": (17, 3, 3), "socket vsock": (40, 1, 0),
    "socket netfilter": (16, 3, 12), "socket alg": (38, 5, 0),
}.items():  # fmt: skip
    ATTACKS[_name] = lambda event, a=_arguments: opens(*a)


def connects(host, port):
    with socket.socket() as s:
        s.settimeout(1)
        try:
            s.connect((host, port))
        except TimeoutError:
            return "absent"
    return "reached"


@attack
def connect_to_a_service_of_the_host(event):
    return connects("127.0.0.1", event["host_port"])


@attack
def connect_to_metadata(event):
    return connects("169.254.169.254", 80)


@attack
def connect_to_a_private_range(event):
    return connects("10.255.255.1", 80)


@attack
def connect_by_fast_open(event):
    with socket.socket() as s:
        s.sendto(b"x", 0x20000000, ("127.0.0.1", event["host_port"]))
    return "reached"


@attack
def ask_names_by_udp(event):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", event["host_udp"]))
        s.send(b"x")
        s.send(b"x")  # the first one's refusal
    return "reached"


@attack
def connect_to_an_abstract_socket(event):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\0" + event["abstract"])
    return "reached"


@attack
def connect_to_a_socket_by_path(event):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(event["unix"])
    return "reached"


@attack
def send_to_a_socket_by_a_pair(event):
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two:
        one.connect(event["unix_datagrams"])
    return "reached"


@attack
def share_memory_with_another(event):
    return checked(libc.shmget(event["shm"], 16, 0))


def tried(function, event):
    try:
        return function(event)
    except OSError as error:
        return refusal(error)


def handler(event, context):
    return {name: tried(function, event) for name, function in ATTACKS.items()}
