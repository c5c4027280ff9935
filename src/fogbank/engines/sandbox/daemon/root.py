"""What a sandbox sees: a read-only tree of bind mounts, made from nothing.

Rule: the list below is an allowlist; what it does not name does not exist inside. ``plan`` reads
the host and decides, ``enter`` runs in the new zygote and builds. Theory: the trees are opened
while the process still has the host identity that may traverse to them (an interpreter below
/root), then everything is built as the namespace's own root, and the old root is cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fogbank.engines.sandbox.daemon import syscalls

TASK = "/var/task"
INSIDE = "/var/fogbank"
STEM_CODE = "/var/fogbank/stem/code"
"""Where a stem finds its code before it has any: a folder in which the code is mounted first."""
RUNTIME = "/var/runtime"
AUTHORITY = "/etc/fogbank/authority.pem"
BARE_AUTHORITY = "authority.pem"
"""Name in the work directory of what functions trust where they see the machine's files."""
USER = "sbx_user1051"
UID = 993
GID = 990

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
_ETC = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/crypto-policies",
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_EMPTY = (TASK, "/opt", "/tmp", "/proc", "/dev", "/etc", "/sys", RUNTIME, INSIDE, STEM_CODE)  # noqa: S108 (a folder of the root that is built, not the machine's)
_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
_TEXTS = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/sbin/nologin\n"
        f"{USER}:x:{UID}:{GID}::/home/{USER}:/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    ),
    "/etc/group": f"root:x:0:\n{USER}:x:{GID}:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/resolv.conf": "options timeout:1 attempts:1\n",
    "/etc/host.conf": "multi on\n",
}
_INSIDE_FILES = (
    "__init__.py",
    "engines/__init__.py",
    "engines/sandbox/__init__.py",
    "engines/sandbox/daemon/__init__.py",
    "engines/sandbox/daemon/syscalls.py",
    "engines/sandbox/daemon/landlock.py",
    "engines/sandbox/daemon/watch.py",
    "engines/sandbox/daemon/config.py",
    "engines/sandbox/daemon/messages.py",
    "engines/sandbox/daemon/steps.py",
)
_KINDS = (".py", ".bpf", ".config", ".cjs", ".js", ".mjs", ".rb")
_STAGE_BYTES = "16m"
_STAGES = ("/tmp", "/usr")  # noqa: S108 (mount points that exist everywhere, no files)


class Plan(NamedTuple):
    """A root to build."""

    binds: dict[str, str]
    """Where each tree or file of the host appears: target to source; read-only, no set-user-id."""
    devices: tuple[str, ...]
    links: dict[str, str]
    texts: dict[str, bytes]
    folders: tuple[str, ...]


_HOST_ETC = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf")
_HOST_PROC = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat")


def readable(root: Plan, files: Iterable[str]) -> tuple[str, ...]:
    """Return what of the host may be read where a root cannot be built: the plan's sources.

    Args:
        root: What a root would hold.
        files: Further files and trees, of ours.
    """
    found = (*root.binds.values(), *_HOST_ETC, *_HOST_PROC, "/etc/resolv.conf", *files)
    return tuple(dict.fromkeys(os.path.realpath(path) for path in found))


def _inside_texts() -> dict[str, bytes]:
    """Return the files of ours that are visible inside, by their path there."""
    package = Path(__file__).parents[3]
    names: list[str] = list(_INSIDE_FILES)
    inside = package / "engines/sandbox/inside"
    names += [f"engines/sandbox/inside/{path.name}" for path in sorted(inside.iterdir())]
    wanted = [name for name in names if name.endswith(_KINDS)]
    return {f"{INSIDE}/fogbank/{name}": (package / name).read_bytes() for name in wanted}


def place_of(path: str) -> str:
    """Return where a folder of the machine appears inside: at its path, unless /tmp hides that."""
    hidden = path.startswith("/tmp/")  # noqa: S108 (a mount point inside)
    return f"/var/lang{path}" if hidden else path


def _hosts(names: Iterable[str]) -> bytes:
    return f"127.0.0.1 localhost sandbox.localdomain sandbox {' '.join(names)}\n".encode()


def plan(
    packages: Mapping[str, str],
    prefixes: Sequence[str],
    hosts: Iterable[str],
    authority: str = "",
) -> Plan:
    """Decide what a sandbox will see on this machine.

    Args:
        packages: Libraries that AWS preinstalls: the name in ``/var/runtime`` to its path here.
        prefixes: Where the interpreter lives; kept at their own paths, unless in ``/usr``.
        hosts: Names of the cloud's endpoint besides ``localhost``.
        authority: What to trust when calling it over TLS, as PEM text; or nothing.
    """
    binds: dict[str, str] = {}
    links = dict(_LINKS)
    for path in _SYSTEM:
        if Path(path).is_symlink():
            links[path] = str(Path(path).readlink())
        elif Path(path).is_dir():
            binds[path] = path
    binds.update({place_of(p): p for p in prefixes if not f"{p}/".startswith("/usr/")})
    binds.update({path: str(Path(path).resolve()) for path in _ETC if Path(path).exists()})
    binds.update({f"{RUNTIME}/{name}": path for name, path in packages.items()})
    texts = {target: text.encode() for target, text in _TEXTS.items()}
    texts["/etc/hosts"] = _hosts(hosts)
    if authority:
        texts[AUTHORITY] = authority.encode()
    texts.update(_inside_texts())
    devices = tuple(f"/dev/{name}" for name in _DEVICES)
    return Plan(binds, devices, links, texts, _EMPTY)


def enter(root: Plan, *, groups: bool) -> None:
    """Build the root in this process's new mount namespace, pivot into it, become its root.

    Args:
        root: What to build.
        groups: Whether the kernel lets this namespace drop supplementary groups.
    """
    read_only = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID
    trees: list[tuple[str, int]] = []
    for target, source in root.binds.items():
        tree = syscalls.open_tree(source)
        syscalls.restrict_tree(tree, read_only | syscalls.MOUNT_ATTR_NODEV)
        trees.append((target, tree))
    for path in root.devices:
        tree = syscalls.open_tree(path)
        syscalls.restrict_tree(tree, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC)
        trees.append((path, tree))
    _become_root(groups=groups)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
    stage = next(path for path in _STAGES if Path(path).is_dir())
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("fogbank", stage, "tmpfs", flags, f"mode=755,size={_STAGE_BYTES}")
    _furnish(stage, root, trees)
    syscalls.mount("proc", f"{stage}/proc", "proc", flags | syscalls.MS_NOEXEC)
    os.chdir(stage)
    syscalls.pivot_root(".", ".")
    syscalls.umount_detached(".")
    os.chdir("/")
    syscalls.restrict_mount("/", syscalls.MOUNT_ATTR_RDONLY)
    syscalls.set_hostname("fogbank")


def _become_root(*, groups: bool) -> None:
    """Take the identity of the user namespace's own root, which is nobody on the host."""
    os.setresgid(0, 0, 0)
    if groups:
        os.setgroups([])
    os.setresuid(0, 0, 0)


def _furnish(stage: str, root: Plan, trees: Sequence[tuple[str, int]]) -> None:
    """Make folders, files and links on the stage and attach the trees."""
    for folder in root.folders:
        Path(stage + folder).mkdir(parents=True, exist_ok=True)
    for target, tree in sorted(trees):
        place = Path(stage + target)
        if Path(f"/proc/self/fd/{tree}").is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        syscalls.move_mount(tree, str(place))
        os.close(tree)
    for target, to in root.links.items():
        Path(stage + target).symlink_to(to)
    for target, text in root.texts.items():
        Path(stage + target).parent.mkdir(parents=True, exist_ok=True)
        Path(stage + target).write_bytes(text)
