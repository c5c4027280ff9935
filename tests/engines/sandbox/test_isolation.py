"""What a hostile handler can see and do: nothing but its own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from fogbank.platform.runtime.port import Ending

pytestmark = pytest.mark.slow


def test_the_root_holds_only_the_built_tree(lab: Any, prisoner: Any) -> None:
    names = lab.ask(prisoner, "import os; answer = os.listdir('/')")
    system = {"bin", "sbin", "lib", "lib64", "lib32", "libx32", "usr"}
    assert set(names) - system == {"dev", "etc", "opt", "proc", "sys", "tmp", "var"}


def test_etc_and_dev_hold_only_what_is_listed(lab: Any, prisoner: Any) -> None:
    found = lab.ask(prisoner, "import os; answer = [os.listdir('/etc'), os.listdir('/dev')]")
    assert "shadow" not in found[0]
    assert set(found[0]) <= {
        *("passwd", "group", "hosts", "host.conf", "resolv.conf", "nsswitch.conf", "localtime"),
        *("ld.so.cache", "ld.so.conf", "ssl", "pki", "crypto-policies"),
    }
    links = {"fd", "stdin", "stdout", "stderr"}
    assert set(found[1]) - links == {"null", "zero", "full", "random", "urandom"}


def test_host_files_do_not_exist(lab: Any, prisoner: Any) -> None:
    hidden = ["/root", "/home", "/etc/shadow", "/boot", "/run", "/var/log", "/var/lib", __file__]
    hidden += [str(lab.folder), str(lab.folder / "work")]
    code = "import os; answer = [p for p in event['paths'] if os.path.exists(p)]"
    assert lab.ask(prisoner, code, paths=hidden) == []


def test_the_servers_packages_are_not_importable_but_boto3_is(lab: Any, prisoner: Any) -> None:
    code = """
import importlib.util as u
answer = {n: u.find_spec(n) is not None for n in event['names']}
"""
    names = ["fogbank", "msgspec", "pytest", "boto3", "botocore", "s3transfer", "urllib3"]
    found = lab.ask(prisoner, code, names=names)
    assert [name for name, there in found.items() if there] == names[3:]


def test_only_its_own_process_is_visible(lab: Any, prisoner: Any) -> None:
    code = "import os; answer = [p for p in os.listdir('/proc') if p.isdigit()], os.getppid()"
    assert lab.ask(prisoner, code) == [["1"], 0]


def test_no_process_outside_can_be_signalled(lab: Any, prisoner: Any) -> None:
    code = """
import os
answer = []
for pid in event['pids']:
    try:
        os.kill(pid, 0)
        answer.append(pid)
    except OSError:
        pass
"""
    assert lab.ask(prisoner, code, pids=[os.getpid(), os.getppid(), 2, -1]) == []


def test_it_is_nobody_and_holds_no_capability(lab: Any, prisoner: Any) -> None:
    status = lab.ask(prisoner, "answer = open('/proc/self/status').read()")
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(values[name], 16) == 0
    assert values["NoNewPrivs"] == "1"
    assert values["Seccomp"] == "2"
    assert values["Uid"].split() == ["993"] * 4
    assert values["Gid"].split() == ["990"] * 4


def test_two_functions_have_two_identities_on_the_host_where_root_maps_them(lab: Any) -> None:
    two = [lab.start(), lab.start()]
    # The map shows the zygote's numbering: an ordinary user's namespaces have one id each.
    maps = [lab.ask(s, "answer = open('/proc/self/uid_map').read()").split()[1] for s in two]
    assert (maps[0] != maps[1]) == (lab.level == "full")
    for sandbox in two:
        lab.end(sandbox)


def test_the_environment_is_exactly_what_was_given(lab: Any, prisoner: Any) -> None:
    found = lab.ask(prisoner, "import os; answer = dict(os.environ)")
    assert set(found) == {
        *("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
        *("PYTHONPATH", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *(
            "AWS_CONFIG_FILE",
            "AWS_ENDPOINT_URL",
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_FUNCTION_NAME",
            "_HANDLER",
        ),
        *("AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "COLOUR"),
        *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        *("AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_LAMBDA_RUNTIME_API"),
    }
    assert found["COLOUR"] == "blue"
    assert found["AWS_ACCESS_KEY_ID"] == "AKIAONE"
    assert found["AWS_REGION"] == "eu-west-1"
    children = lab.ask(
        prisoner,
        "import subprocess; answer = subprocess.check_output(['/usr/bin/env']).decode()",
    )
    assert {line.partition("=")[0] for line in children.splitlines()} <= {*found, "_"}


def test_only_four_descriptors_are_open(lab: Any, prisoner: Any) -> None:
    code = """
import os
answer = []
for fd in range(1024):
    try:
        os.fstat(fd)
        answer.append(fd)
    except OSError:
        pass
"""
    assert lab.ask(prisoner, code) == [0, 1, 2, 3]


def test_code_and_system_are_read_only_and_tmp_is_not(lab: Any, prisoner: Any) -> None:
    code = """
import os
answer = []
for path in event['paths']:
    try:
        with open(path + '/x', 'w') as f:
            f.write('x')
        answer.append(path)
    except OSError:
        pass
"""
    paths = [
        "/",
        "/var/task",
        "/usr",
        "/etc",
        "/opt",
        "/var/runtime",
        "/dev",
        "/sys",
        "/var/fogbank",
    ]
    assert lab.ask(prisoner, code, paths=[*paths, "/proc", "/proc/sys/kernel", "/tmp"]) == ["/tmp"]


def test_the_code_is_mounted_read_only_whoever_owns_it(lab: Any, prisoner: Any) -> None:
    code = """
try:
    answer = open('/var/task/x', 'w').write('x')
except OSError as error:
    answer = error.errno
"""
    assert lab.ask(prisoner, code) == errno.EROFS


def test_a_function_has_as_many_open_files_as_on_aws(lab: Any, prisoner: Any) -> None:
    code = "import resource; answer = resource.getrlimit(resource.RLIMIT_NOFILE)"
    assert lab.ask(prisoner, code) == [1_024, 1_024]


DENIED = {
    "mount": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
    "umount": "libc.umount2(b'/proc', 2)",
    "unshare user": "libc.unshare(0x10000000)",
    "unshare net": "libc.unshare(0x40000000)",
    "setns": "libc.setns(os.open('/proc/self/ns/net', 0), 0)",
    "chroot": "libc.chroot(b'/tmp')",
    "pivot_root": "syscall(155, b'/tmp', b'/tmp')",
    "setuid 0": "libc.setuid(0)",
    "setgid 0": "libc.setgid(0)",
    "setgroups": "libc.setgroups(0, None)",
    "ptrace traceme": "libc.ptrace(0, 0, 0, 0)",
    "process_vm_readv": "libc.process_vm_readv(1, None, 0, None, 0, 0)",
    "bpf": "syscall(321, 0, None, 0)",
    "perf_event_open": "syscall(298, None, 0, -1, -1, 0)",
    "keyctl": "syscall(250, 0, -3, 0, 0)",
    "add_key": "syscall(248, b'user', b'x', b'y', 1, -3)",
    "userfaultfd": "syscall(323, 0)",
    "io_uring_setup": "syscall(425, 1, None)",
    "clone3": "syscall(435, None, 0)",
    "clone newuser": "syscall(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "clone newnet": "syscall(56, 0x40000000 | 17, 0, 0, 0, 0)",
    "open_by_handle_at": "syscall(304, -100, None, 0)",
    "init_module": "syscall(175, None, 0, b'')",
    "reboot": "syscall(169, 0, 0, 0, 0)",
    "syslog": "syscall(103, 3, None, 0)",
    "sethostname": "libc.sethostname(b'x', 1)",
    "x32 getpid": "syscall(0x40000000 + 39)",
    "raw": "sock(socket.AF_INET, socket.SOCK_RAW, 1)",
    "raw6": "sock(socket.AF_INET6, socket.SOCK_RAW, 58)",
    "packet": "sock(17, socket.SOCK_RAW, 3)",
    "vsock": "sock(40, socket.SOCK_STREAM, 0)",
    "alg": "sock(38, 5, 0)",
    "netfilter": "sock(16, socket.SOCK_RAW, 12)",
    "mknod": "libc.mknod(b'/tmp/disk', 0o60600, os.makedev(254, 0))",
    "nice": "libc.setpriority(0, 0, -5)",
    "personality": "libc.personality(0x0040000)",
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64")
def test_dangerous_system_calls_are_denied(lab: Any, prisoner: Any) -> None:
    code = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def syscall(*arguments):
    cooked = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return libc.syscall(*cooked)
def sock(*arguments):
    try:
        socket.socket(*arguments).close()
        return 0
    except OSError:
        return -1
answer = {}
for name, text in event['calls'].items():
    result = eval(text)
    if name.startswith('clone') and result == 0:
        os._exit(0)
    answer[name] = result
"""
    results = lab.ask(prisoner, code, calls=DENIED)
    assert {name for name, result in results.items() if result != -1} == set()


def test_ordinary_system_calls_are_allowed(lab: Any, prisoner: Any) -> None:
    code = """
import concurrent.futures, os, socket, sqlite3, subprocess, tempfile, threading, mmap
answer = []
answer.append(subprocess.check_output(['/bin/sh', '-c', 'echo $((6*7))']).decode())
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    answer.append(sum(pool.map(abs, range(10))))
with tempfile.TemporaryDirectory() as folder:
    db = sqlite3.connect(folder + '/x.db')
    db.execute('create table t (a)')
    db.execute('insert into t values (1)')
    db.commit()
    answer.append(db.execute('select a from t').fetchall())
    db.close()
a, b = socket.socketpair()
a.send(b'x')
answer.append(b.recv(1).decode())
answer.append(len(os.urandom(8)))
"""
    assert lab.ask(prisoner, code) == ["42\n", 45, [[1]], "x", 8]


@pytest.fixture
def host_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_no_port_of_the_host_can_be_reached(lab: Any, prisoner: Any, host_port: int) -> None:
    code = """
import socket
answer = {}
for host, port in event['targets']:
    try:
        socket.create_connection((host, port), timeout=2).close()
        answer[host] = 'connected'
    except OSError as e:
        answer[host] = e.errno
"""
    host = socket.gethostbyname(socket.gethostname())
    targets = [["127.0.0.1", host_port], ["192.0.2.1", 80], ["169.254.169.254", 80]]
    if not host.startswith("127."):
        targets.append([host, host_port])
    found = lab.ask(prisoner, code, targets=targets)
    assert found.pop("127.0.0.1") == 111
    assert set(found.values()) == {101}


def test_the_only_interface_is_loopback(lab: Any, prisoner: Any) -> None:
    code = "import socket; answer = [name for _, name in socket.if_nameindex()]"
    assert [n for n in lab.ask(prisoner, code) if not n.endswith(("tunl0", "sit0"))] == ["lo"]


def test_abstract_sockets_of_the_host_cannot_be_reached(lab: Any, prisoner: Any) -> None:
    name = f"\0fogbank-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        code = """
import socket
try:
    socket.socket(socket.AF_UNIX).connect(event['name'])
    answer = 'connected'
except OSError as e:
    answer = e.errno
"""
        assert lab.ask(prisoner, code, name=name) == 111


def test_the_endpoint_inside_leads_to_the_gateway_and_tells_the_function(lab: Any) -> None:
    code = """
import os, urllib.request
answer = [urllib.request.urlopen(u).read().decode() for u in (
    os.environ['AWS_ENDPOINT_URL'], os.environ['AWS_ENDPOINT_URL'].replace('127.0.0.1', 'localhost'))]
"""
    one, two = lab.start(function_name="one"), lab.start(function_name="two")
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:"
    assert lab.ask(one, code) == [f"{arn}one"] * 2
    assert lab.ask(two, code) == [f"{arn}two"] * 2
    lab.end(one)
    lab.end(two)


def test_two_sandboxes_share_no_files_memory_processes_or_credentials(lab: Any) -> None:
    one, two = lab.start(key="AKIAONE"), lab.start(key="AKIATWO")
    leave = """
import os, socket, ctypes
open('/tmp/note', 'w').write(os.environ['AWS_SECRET_ACCESS_KEY'])
libc = ctypes.CDLL(None, use_errno=True)
shm = libc.shmget(4242, 4096, 0o1666)
s = socket.socket(socket.AF_UNIX); s.bind('\\0meet'); s.listen()
t = socket.create_server(('127.0.0.1', 7777))
import builtins; builtins.kept = (s, t)
answer = shm >= 0
"""
    assert lab.ask(one, leave) is True
    look = """
import os, socket, ctypes
libc = ctypes.CDLL(None, use_errno=True)
found = [os.listdir('/tmp'), libc.shmget(4242, 4096, 0)]
for family, address in ((socket.AF_UNIX, '\\0meet'), (socket.AF_INET, ('127.0.0.1', 7777))):
    found.append(socket.socket(family).connect_ex(address))
found.append([p for p in os.listdir('/proc') if p.isdigit()])
everything = open('/proc/1/environ', 'rb').read() if os.access('/proc/1/environ', os.R_OK) else b''
found.append(os.environ['AWS_SECRET_ACCESS_KEY'])
found.append('AKIAONE' in repr(os.environ) + repr(everything))
answer = found
"""
    assert lab.ask(two, look) == [[], -1, 111, 111, ["1"], "secret of AKIATWO", False]
    lab.end(one)
    lab.end(two)


def test_a_fork_bomb_stops_at_the_limit_of_processes(lab: Any) -> None:
    sandbox = lab.start()
    code = """
import os, time
pids = []
try:
    while len(pids) < 500:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        pids.append(pid)
    answer = 'unlimited'
except OSError:
    answer = len(pids)
"""
    assert 40 <= lab.ask(sandbox, code) < 64
    lab.end(sandbox)


def test_a_memory_hog_is_killed_alone(lab: Any, prisoner: Any) -> None:
    hog = lab.start(memory_mb=128)
    outcome = lab.invoke(hog, {"code": "x = [bytearray(b'x' * 1048576) for _ in range(2000)]"})
    assert outcome.ending == Ending.OUT_OF_MEMORY
    assert outcome.max_memory_mb == 128
    assert hog.closed
    assert lab.ask(prisoner, "answer = 1") == 1


def test_a_child_that_hogs_memory_ends_the_whole_sandbox(lab: Any) -> None:
    hog = lab.start(memory_mb=128)
    code = """
import subprocess, sys, time
hungry = "x = [bytearray(b'x' * 1048576) for _ in range(2000)]; import time; time.sleep(60)"
subprocess.run([sys.executable, '-I', '-S', '-c', hungry])
time.sleep(60)
"""
    assert lab.invoke(hog, {"code": code}).ending == Ending.OUT_OF_MEMORY


def test_a_full_tmp_ends_the_sandbox_and_counts_not_as_its_memory(lab: Any) -> None:
    writer = lab.start(memory_mb=128, tmp_mb=200)
    fits = "f = open('/tmp/x', 'wb')\nfor _ in range(150): f.write(b'x' * 1048576)\nanswer = 1"
    assert lab.ask(writer, fits) == 1
    large = "f = open('/tmp/x', 'wb')\ntry:\n for _ in range(300): f.write(b'x' * 1048576)\n"
    large += "except OSError as e: answer = e.errno"
    assert lab.ask(writer, large) == errno.EFBIG
    over = "import time\nf = open('/tmp/y', 'wb')\n"
    over += "for _ in range(100): f.write(b'x' * 1048576)\nf.flush(); time.sleep(60)"
    outcome = lab.invoke(writer, {"code": over}, request_id="full")
    assert outcome.ending == Ending.EXITED
    assert "/tmp held more than 200 MB" in lab.text("full")


def test_a_time_out_kills_every_process_of_the_sandbox(lab: Any) -> None:
    sandbox = lab.start(timeout_ms=300)
    mark = f"fogbank-mark-{os.getpid()}-{lab.level}"
    code = f"""
import subprocess, time
subprocess.Popen(['/bin/sleep', '77'], preexec_fn=__import__('os').setsid)
subprocess.Popen(['/bin/sh', '-c', 'trap "" TERM INT HUP; sleep 77; : {mark}'])
time.sleep(60)
"""
    outcome = lab.invoke(sandbox, {"code": code}, ms=300)
    assert outcome.ending == Ending.TIMED_OUT
    assert sandbox.closed
    assert not processes_with(mark)


def test_hash_seeds_and_entropy_differ_between_siblings(lab: Any) -> None:
    two = [lab.start(), lab.start()]
    code = "import os, random, uuid; answer = [os.urandom(4).hex(), random.random(), str(uuid.uuid4())]"
    first, second = (lab.ask(sandbox, code) for sandbox in two)
    assert all(a != b for a, b in zip(first, second, strict=True))
    for sandbox in two:
        lab.end(sandbox)


def test_set_user_id_programs_give_nothing(lab: Any, prisoner: Any) -> None:
    code = """
import os
flags = os.statvfs('/usr').f_flag
answer = [bool(flags & os.ST_NOSUID), bool(flags & os.ST_RDONLY)]
"""
    assert lab.ask(prisoner, code) == [True, True]


def test_a_sandbox_that_floods_its_frames_is_ended_alone(lab: Any, prisoner: Any) -> None:
    flood = lab.start()
    code = "import os\nwhile True: os.write(3, b'\\xff' * 65536)"
    assert lab.invoke(flood, {"code": code}).ending == Ending.EXITED
    assert lab.ask(prisoner, "answer = 2") == 2


def test_a_sandbox_that_closes_its_frames_is_ended(lab: Any) -> None:
    sandbox = lab.start()
    code = "import os, time\nos.close(3)\ntime.sleep(60)"
    assert lab.invoke(sandbox, {"code": code}).ending == Ending.EXITED


def processes_with(mark: str) -> list[str]:
    """Return the command lines of this machine's processes that contain a mark."""
    found: list[str] = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            if mark in line:
                found.append(line)
    return found


def test_what_two_handlers_print_stays_apart(lab: Any, prisoner: Any) -> None:
    other = lab.start()
    lab.invoke(other, {"code": "print('other')"}, request_id="other")
    lab.invoke(prisoner, {"code": "print('mine')"}, request_id="mine")
    assert lab.text("mine") == "mine\n"
    assert lab.text("other") == "other\n"
    lab.end(other)
