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
from fogbank.platform.runtime.functions import Package, PackageTooLargeError
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
    sys.argv[1], maxlevels=100, ddir="/var/task", quiet=2,
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
"""
"""Compiles a stranger's sources without running them, within limits of its own."""

Chunks = Callable[[], AsyncIterator[bytes]]


class _File(msgspec.Struct, frozen=True, array_like=True):
    """One file of a tree."""

    path: str
    size: int
    crc32: int


class _Tree:
    """What is known of one tree."""

    __slots__ = ("bytes", "checked", "holders", "lock", "used")

    def __init__(self) -> None:
        self.bytes = 0
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

    async def hold(self, package: Package, runtime: str, chunks: Chunks) -> Path:
        """Return the tree of a package and keep it until ``release``.

        Args:
            package: Which.
            runtime: What will run it; a Python runtime finds its sources compiled.
            chunks: Gives the zip file's bytes, should they be needed.

        Raises:
            PackageError: It cannot be unpacked.
            Corrupt: The bytes are not the package's.
            Full: There is no space left.
        """
        name = f"{package.sha256}.{runtime}"
        tree = self._trees.setdefault(name, _Tree())
        tree.holders += 1
        try:
            async with tree.lock:
                if not (tree.checked and (self._root / name).is_dir()):
                    await self._ensure(name, tree, package, chunks)
        except BaseException:
            self._give_up(name, tree)
            raise
        await self._forget()
        return self._root / name

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

    async def _ensure(self, name: str, tree: _Tree, package: Package, chunks: Chunks) -> None:
        """Check the tree that lies there, or make it."""
        path = self._root / name
        if not await asyncio.to_thread(_is_whole, path):
            await self._build(path, package, chunks)
        tree.bytes = await asyncio.to_thread(_size_of, path)
        tree.checked = True

    async def _build(self, path: Path, package: Package, chunks: Chunks) -> None:
        """Make a tree under a temporary name, then give it its own."""
        self._temporaries += 1
        temporary = self._root / f"{_TEMPORARY}{os.getpid()}-{self._temporaries}"
        archive = temporary.with_suffix(".zip")
        try:
            await self._fetch(archive, package, chunks)
            interpreter = self._interpreter_of(path.name.partition(".")[2])
            await asyncio.to_thread(
                _make, archive, temporary, path, interpreter, self._unzipped_bytes_max
            )
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise Full(f"no space for the code of {package.sha256}") from error
            raise
        finally:
            await asyncio.to_thread(_remove, temporary, archive)

    async def _fetch(self, archive: Path, package: Package, chunks: Chunks) -> None:
        """Write the zip file beside the tree-to-be and compare its digest."""
        digest = hashlib.sha256()
        size = 0
        with archive.open("xb") as out:
            async for chunk in chunks():
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
            found.append((path.name, _size_of(path)))
    return found


def _make(
    archive: Path, temporary: Path, path: Path, interpreter: str | None, bytes_max: int
) -> None:
    """Unpack, compile, list and place a tree."""
    temporary.mkdir(mode=0o755)
    with archive.open("rb") as file:
        unpack(file, temporary, bytes_max)
    if interpreter is not None:
        _compile(interpreter, temporary)
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
    temporary_manifest.write_bytes(msgspec.json.encode(_listing(temporary)))
    temporary.rename(path)
    temporary_manifest.rename(manifest)


def _compile(interpreter: str, tree: Path) -> None:
    """Compile the Python sources of a tree; what cannot be compiled stays as it is."""
    if not any(name.endswith(".py") for _, _, names in os.walk(tree) for name in names):
        return
    command = [interpreter, "-I", "-S", "-c", _COMPILE, str(tree)]
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


def _listing(tree: Path) -> list[_File]:
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
    return sorted(out, key=lambda file: file.path)


def _is_whole(path: Path) -> bool:
    """Return whether a tree is exactly what its manifest lists."""
    try:
        raw = path.with_name(path.name + _MANIFEST).read_bytes()
        return path.is_dir() and msgspec.json.decode(raw, type=list[_File]) == _listing(path)
    except (OSError, msgspec.DecodeError):
        return False


def _size_of(path: Path) -> int:
    """Return the bytes of a tree as its manifest has them; 0 without one."""
    try:
        raw = path.with_name(path.name + _MANIFEST).read_bytes()
        return sum(file.size for file in msgspec.json.decode(raw, type=list[_File]))
    except (OSError, msgspec.DecodeError):
        return 0


def _remove(*paths: Path) -> None:
    """Remove files and trees; what is not there is no error."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
