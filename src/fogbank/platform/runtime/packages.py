"""Unpacked code on this machine: a cache of read-only trees, named by what they hold.

Rule: the durable code is the zip file in the blob store. A tree here can vanish at any time and is
made anew; it is never changed, and only ever appears whole, under its final name. Trees that an
environment uses stay; the others are forgotten, the longest unused first, when all together pass
the limit.

Theory: a tree is unpacked under a temporary name, byte-compiled (a read-only root cannot keep
what it compiles), listed in a manifest of sizes and checksums, and renamed. The first use in a
process checks the tree against its manifest, which finds what a power cut left half-written as
well as what rotted since, so that nothing here needs a sync.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import msgspec

from fogbank.base.errors import Corrupt, Full
from fogbank.platform.runtime.functions import Package, PackageTooLargeError, Tree
from fogbank.platform.runtime.unzip import unpack

log = logging.getLogger("fogbank.functions")

UNZIPPED_BYTES_MAX: Final = 262_144_000
"""AWS Lambda quotas: deployment package, unzipped, 250 MB."""
CACHE_BYTES_MAX: Final = 4 << 30
COMPILE_TIMEOUT_S: Final = 120
_PIECE_BYTES: Final = 1 << 20
_TEMPORARY: Final = ".tmp-"
_MANIFEST: Final = ".json"

_COMPILE: Final = """
import compileall, py_compile, resource, sys
for limit, value in (
    (resource.RLIMIT_CPU, 100), (resource.RLIMIT_AS, 2 << 30),
    (resource.RLIMIT_FSIZE, 64 << 20), (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(limit, (value, value))
compileall.compile_dir(
    sys.argv[1], maxlevels=100, ddir=sys.argv[2], quiet=2,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
"""
"""Compiles a stranger's sources without running them, within limits of its own."""

Read = Callable[[Package], AsyncIterator[bytes]]
"""Gives the bytes of a zip file."""


class _File(msgspec.Struct, frozen=True, array_like=True):
    """One file of a tree."""

    path: str
    size: int
    crc32: int


class _Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What a tree is."""

    unpacked: int = 0
    """Bytes of the packages that it was made of, without what was compiled."""
    files: tuple[_File, ...] = ()

    @property
    def size(self) -> int:
        """Return the bytes of its files."""
        return sum(file.size for file in self.files)


class _Tree:
    """What is known of one tree."""

    __slots__ = ("bytes", "checked", "holders", "lock", "unpacked", "used")

    def __init__(self) -> None:
        self.bytes = self.unpacked = 0
        self.checked = False
        self.holders = 0
        self.lock = asyncio.Lock()
        self.used = 0


class Packages:
    """The trees below one folder; used from one event loop, which it never blocks.

    Args:
        work_dir: Trees lie in its folder ``code``.
        interpreter_of: The interpreter of a runtime, to compile with; None for others.
        unzipped_bytes_max: The largest tree.
        cache_bytes_max: When to forget trees that nobody uses.
    """

    def __init__(
        self,
        work_dir: Path,
        interpreter_of: Callable[[str], str | None],
        *,
        unzipped_bytes_max: int = UNZIPPED_BYTES_MAX,
        cache_bytes_max: int = CACHE_BYTES_MAX,
    ) -> None:
        self._root = work_dir / "code"
        self._interpreter_of = interpreter_of
        self._unzipped_bytes_max = unzipped_bytes_max
        self._cache_bytes_max = cache_bytes_max
        self._trees: dict[str, _Tree] = {}
        self._uses = 0
        self._temporaries = 0

    async def open(self) -> None:
        """Make the folder, remove what was left half-done, and learn what is there."""
        for name, size in await asyncio.to_thread(_survey, self._root):
            tree = self._trees[name] = _Tree()
            tree.bytes = size

    async def hold(self, wanted: Tree, read: Read) -> Path:
        """Return the tree of packages and keep it until ``release``.

        Args:
            wanted: Which; a Python runtime finds its sources compiled.
            read: Gives the bytes of the zip files, should they be needed.

        Raises:
            PackageError: One cannot be unpacked.
            Corrupt: The bytes are not the package's.
            Full: There is no space left.
        """
        name = wanted.name
        tree = self._trees.setdefault(name, _Tree())
        tree.holders += 1
        try:
            async with tree.lock:
                if not (tree.checked and (self._root / name).is_dir()):
                    await self._ensure(tree, wanted, read)
        except BaseException:
            self._give_up(name, tree)
            raise
        await self._forget()
        return self._root / name

    def unpacked_bytes(self, path: Path) -> int:
        """Return how many bytes the packages of a held tree have made."""
        return self._trees[path.name].unpacked

    def release(self, path: Path) -> None:
        """Let go of a tree."""
        tree = self._trees[path.name]
        assert tree.holders > 0, "a tree is released as often as it was held"
        tree.holders -= 1
        self._uses += 1
        tree.used = self._uses

    def _give_up(self, name: str, tree: _Tree) -> None:
        """Let go of a tree that did not come to be."""
        tree.holders -= 1
        if tree.holders == 0 and not tree.checked:
            self._trees.pop(name, None)

    async def _ensure(self, tree: _Tree, wanted: Tree, read: Read) -> None:
        """Check the tree that lies there, or make it."""
        path = self._root / wanted.name
        if not await asyncio.to_thread(_is_whole, path):
            await self._build(path, wanted, read)
        manifest = await asyncio.to_thread(_manifest_of, path)
        tree.bytes, tree.unpacked = manifest.size, manifest.unpacked
        tree.checked = True

    async def _build(self, path: Path, wanted: Tree, read: Read) -> None:
        """Make a tree under a temporary name, then give it its own."""
        self._temporaries += 1
        temporary = self._root / f"{_TEMPORARY}{os.getpid()}-{self._temporaries}"
        archive, over = temporary.with_suffix(".zip"), temporary.with_suffix(".over")
        left = self._unzipped_bytes_max
        try:
            for package in wanted.packages:
                await self._fetch(archive, package, read)
                left -= await asyncio.to_thread(_add, archive, temporary, over, left)
            unpacked = self._unzipped_bytes_max - left
            interpreter = self._interpreter_of(wanted.runtime)
            await asyncio.to_thread(_finish, temporary, path, interpreter, wanted.root, unpacked)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise Full(f"no space for the code of {wanted.name}") from error
            raise
        finally:
            await asyncio.to_thread(_remove, temporary, archive, over)

    async def _fetch(self, archive: Path, package: Package, read: Read) -> None:
        """Write the zip file beside the tree-to-be and compare its digest."""
        digest = hashlib.sha256()
        size = 0
        with archive.open("xb") as out:
            async for chunk in read(package):
                size += len(chunk)
                if size > self._unzipped_bytes_max:
                    raise PackageTooLargeError("the zip file is larger than what it may unpack to")
                await asyncio.to_thread(_append, out.write, digest.update, chunk)
        if digest.hexdigest() != package.sha256:
            raise Corrupt(f"the code package {package.sha256} is not what was stored")

    async def _forget(self) -> None:
        """Remove trees that nobody uses, the longest unused first, while there are too many."""
        total = sum(tree.bytes for tree in self._trees.values())
        idle = [
            (tree.used, name)
            for name, tree in self._trees.items()
            if not tree.holders and not tree.lock.locked()
        ]
        for _, name in sorted(idle):
            if total <= self._cache_bytes_max:
                return
            total -= self._trees.pop(name).bytes
            path = self._root / name
            await asyncio.to_thread(_remove, path, path.with_name(name + _MANIFEST))


def _append(
    write: Callable[[bytes], object], update: Callable[[bytes], object], raw: bytes
) -> None:
    """Write and digest a piece."""
    write(raw)
    update(raw)


def _survey(root: Path) -> list[tuple[str, int]]:
    """Return names and sizes of the trees that stand, after removing what does not count."""
    root.mkdir(parents=True, exist_ok=True)
    # Whatever the umask, sandboxes of another user read below it; but only what they can name.
    root.chmod(0o711)
    found: list[tuple[str, int]] = []
    for path in sorted(root.iterdir()):
        if path.name.startswith(_TEMPORARY):
            _remove(path)
        elif path.is_dir():
            found.append((path.name, _manifest_of(path).size))
    return found


def _add(archive: Path, tree: Path, over: Path, bytes_max: int) -> int:
    """Unpack a zip file, over what is there of a tree already; return how many bytes that made."""
    into = over if tree.is_dir() else tree
    into.mkdir(mode=0o755)
    with archive.open("rb") as file:
        unpacked = unpack(file, into, bytes_max)
    archive.unlink()
    if into is over:
        _lay(over, tree)
        shutil.rmtree(over)
    return unpacked


def _lay(over: Path, tree: Path) -> None:
    """Move what lies in one folder into another; what is there under its name gives way.

    AWS: later layers cover earlier ones file by file (Developer Guide, "Adding layers to functions").
    """
    for folder, _, names in os.walk(over):
        into = tree / Path(folder).relative_to(over)
        if into.exists() and not into.is_dir():
            into.unlink()
        into.mkdir(exist_ok=True)
        for name in names:
            if (into / name).is_dir():
                shutil.rmtree(into / name)
            Path(folder, name).replace(into / name)


def _finish(temporary: Path, path: Path, interpreter: str | None, root: str, unpacked: int) -> None:
    """Compile, list and place a tree that was unpacked."""
    if interpreter is not None:
        _compile(interpreter, temporary, root)
    for folder, _, names in os.walk(temporary):
        for name in names:
            file_path = Path(folder, name)
            file_path.chmod(0o555 if file_path.stat().st_mode & 0o111 else 0o444)
        # Writable for us alone: the mount inside a sandbox is read-only, and a user must be able to
        # remove a data directory of theirs with ordinary tools.
        Path(folder).chmod(0o755)
    manifest = path.with_name(path.name + _MANIFEST)
    _remove(path, manifest)
    temporary_manifest = temporary.with_suffix(_MANIFEST)
    listed = _Manifest(unpacked, _listing(temporary))
    temporary_manifest.write_bytes(msgspec.json.encode(listed))
    temporary.rename(path)
    temporary_manifest.rename(manifest)


def _compile(interpreter: str, tree: Path, root: str) -> None:
    """Compile the Python sources of a tree; what cannot be compiled stays as it is."""
    if not any(name.endswith(".py") for _, _, names in os.walk(tree) for name in names):
        return
    command = [interpreter, "-I", "-S", "-c", _COMPILE, str(tree), root]
    try:
        subprocess.run(  # noqa: S603 (our own interpreter and program)
            command,
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMPILE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("code in %s stays uncompiled: %s", tree, error)


def _listing(tree: Path) -> tuple[_File, ...]:
    """Return the files of a tree with their sizes and checksums, in order."""
    out: list[_File] = []
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            size = crc32 = 0
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    size += len(piece)
                    crc32 = zlib.crc32(piece, crc32)
            out.append(_File(str(path.relative_to(tree)), size, crc32))
    return tuple(sorted(out, key=lambda file: file.path))


def _is_whole(path: Path) -> bool:
    """Return whether a tree is exactly what its manifest lists."""
    manifest = _manifest_of(path)
    return bool(manifest.files) and path.is_dir() and manifest.files == _listing(path)


def _manifest_of(path: Path) -> _Manifest:
    """Return the manifest of a tree; one of nothing where there is none that can be read."""
    try:
        raw = path.with_name(path.name + _MANIFEST).read_bytes()
        return msgspec.json.decode(raw, type=_Manifest)
    except (OSError, msgspec.DecodeError):
        return _Manifest()


def _remove(*paths: Path) -> None:
    """Remove files and trees; what is not there is no error."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
