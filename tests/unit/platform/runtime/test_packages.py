from __future__ import annotations

import asyncio
import hashlib
import io
import os
import stat
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fogbank.base.errors import Corrupt
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.runtime import unzip
from fogbank.platform.runtime.functions import (
    OPT,
    Package,
    PackageEmptyError,
    PackageError,
    PackageTooLargeError,
    Tree,
)
from fogbank.platform.runtime.packages import Packages

from .fakes import zipped  # noqa: TID252 (fakes of this folder)

LIMIT = 1_000_000


def unpack(raw: bytes, into: Path, limit: int = LIMIT) -> int:
    return unzip.unpack(io.BytesIO(raw), into, limit)


def with_entry(
    name: str, content: bytes = b"x", mode: int = 0o644, kind: int = stat.S_IFREG
) -> bytes:
    info = zipfile.ZipInfo("harmless")
    info.filename = name
    info.external_attr = (kind | mode) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("app.py", "")
        archive.writestr(info, content)
    return out.getvalue()


def test_files_and_folders_come_out_readable_by_everyone_and_writable_by_nobody(
    tmp_path: Path,
) -> None:
    raw = with_entry("bin/run", b"#!", 0o700)
    assert unpack(raw, tmp_path) == 2
    assert stat.S_IMODE((tmp_path / "bin/run").stat().st_mode) & 0o222 == 0
    assert os.access(tmp_path / "bin/run", os.X_OK)


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "a/../../up",
        "/etc/x",
        "a//b",
        "a/./b",
        "..",
        "a\\b",
        "n\0ul",
        "x" * 300,
        "a/" * 101 + "b",
        "/",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackageError):
        unpack(with_entry(name), tmp_path / "tree")
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(PackageError, match="link or a device"):
        unpack(with_entry("link", b"/etc/passwd", kind=kind), tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a")])
def test_a_name_stands_for_one_thing(tmp_path: Path, names: tuple[str, str]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    with pytest.raises(PackageError):
        unpack(out.getvalue(), tmp_path)


def test_a_file_that_promises_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(PackageTooLargeError):
        unpack(zipped({"zeros": bytes(LIMIT + 1)}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    raw = zipped({"zeros": bytes(200_000)})
    size = (200_000).to_bytes(4, "little")
    for claim in (10, 100_000_000):
        lie = raw.replace(size, claim.to_bytes(4, "little"))
        assert lie != raw
        with pytest.raises(PackageError):
            unpack(lie, tmp_path / str(claim), 2 * 100_000_000)


def test_a_huge_listing_is_refused_before_it_is_read(tmp_path: Path) -> None:
    end = bytearray(zipped({"a": "b"}))
    at = end.rfind(b"PK\x05\x06") + 12
    end[at : at + 4] = (64 << 20).to_bytes(4, "little")
    with pytest.raises(PackageError, match="too many"):
        unpack(bytes(end), tmp_path)
    infos = [zipfile.ZipInfo(f"f{i}") for i in range(unzip.ENTRIES_MAX + 1)]
    with pytest.raises(PackageError, match="too many"):
        unzip.checked(infos, LIMIT)


@pytest.mark.parametrize(
    "raw",
    [b"", b"not a zip", zipped({"a": "b" * 999})[:-30]],
    ids=["nothing", "a text", "one without its end"],
)
def test_what_is_no_zip_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(PackageError):
        unpack(raw, tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    raw = bytearray(zipped({"a": os.urandom(4_000)}))
    raw[500] ^= 1
    with pytest.raises(PackageError):
        unpack(bytes(raw), tmp_path)


def test_other_methods_and_encryption_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", "b")
    with pytest.raises(PackageError, match="unknown method"):
        unpack(out.getvalue(), tmp_path)
    secret = zipfile.ZipInfo("a")
    secret.flag_bits |= 1
    with pytest.raises(PackageError, match="encrypted"):
        unzip.checked([secret], LIMIT)


def test_a_package_without_files_is_empty(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.mkdir("folder")
    for raw in (out.getvalue(), zipped({})):
        with pytest.raises(PackageEmptyError):
            unpack(raw, tmp_path)


class Source:
    """A blob store of one zip file that counts how often it is read."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.reads = 0
        self.package = Package(hashlib.sha256(raw).hexdigest(), BlobRef(1, 1))
        self.tree = Tree((self.package,), "python3.11")

    async def chunks(self, _package: Package) -> AsyncIterator[bytes]:
        self.reads += 1
        for at in range(0, len(self.raw), 100):
            yield self.raw[at : at + 100]


async def opened(root: Path, **limits: int) -> Packages:
    packages = Packages(root, lambda _: None, **limits)
    await packages.open()
    return packages


def test_a_tree_is_made_once_whoever_asks_and_survives_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        source = Source(zipped({"app.py": "x = 1", "lib/m.py": "y = 2"}))
        packages = await opened(tmp_path)
        paths = await asyncio.gather(*(packages.hold(source.tree, source.chunks) for _ in range(5)))
        assert set(paths) == {tmp_path / "code" / f"{source.package.sha256}.python3.11"}
        assert source.reads == 1
        again = await opened(tmp_path)
        path = await again.hold(source.tree, source.chunks)
        assert source.reads == 1
        assert (path / "lib/m.py").read_text() == "y = 2"
        assert {stat.S_IMODE(p.stat().st_mode) for p in (path, path / "lib")} == {0o755}
        assert stat.S_IMODE((path / "lib/m.py").stat().st_mode) == 0o444

    asyncio.run(story())


def test_a_tree_that_vanished_or_was_changed_is_made_anew(tmp_path: Path) -> None:
    async def story() -> None:
        source = Source(zipped({"app.py": "x = 1"}))
        packages = await opened(tmp_path)
        path = await packages.hold(source.tree, source.chunks)
        (path / "app.py").chmod(0o644)
        (path / "app.py").write_text("x = 9")
        again = await opened(tmp_path)
        await again.hold(source.tree, source.chunks)
        assert (path / "app.py").read_text() == "x = 1"
        path.chmod(0o755)
        (path / "app.py").unlink()
        path.rmdir()
        await again.hold(source.tree, source.chunks)
        assert (path / "app.py").read_text() == "x = 1"
        assert source.reads == 3

    asyncio.run(story())


def test_leftovers_of_a_crash_are_removed(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "code/.tmp-1-1/deep").mkdir(parents=True)
        (tmp_path / "code/.tmp-1-1.zip").write_text("x")
        await opened(tmp_path)
        assert list((tmp_path / "code").iterdir()) == []

    asyncio.run(story())


def test_a_package_that_cannot_be_unpacked_leaves_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        packages = await opened(tmp_path, unzipped_bytes_max=1_000)
        broken, large = Source(b"not a zip"), Source(zipped({"a": bytes(1_001)}))
        other = Package("0" * 64, BlobRef(1, 1))
        for package, chunks, kind in (
            (broken.package, broken.chunks, PackageError),
            (large.package, large.chunks, PackageTooLargeError),
            (other, broken.chunks, Corrupt),
        ):
            with pytest.raises(kind):
                await packages.hold(Tree((package,), "python3.11"), chunks)
        assert list((tmp_path / "code").iterdir()) == []
        assert packages._trees == {}

    asyncio.run(story())


def test_trees_that_nobody_uses_are_forgotten_the_longest_unused_first(tmp_path: Path) -> None:
    async def story() -> None:
        packages = await opened(tmp_path, cache_bytes_max=250)
        sources = [Source(zipped({"a": bytes([i]) * 100})) for i in range(4)]
        paths = []
        for source in sources:
            paths.append(await packages.hold(source.tree, source.chunks))
            if source is not sources[0]:
                packages.release(paths[-1])
        standing = [path.is_dir() for path in paths]
        assert standing == [True, False, False, True]

    asyncio.run(story())


@pytest.mark.slow
def test_python_sources_are_compiled_for_the_interpreter_without_running_them(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        packages = Packages(tmp_path, lambda name: sys.executable if name == "python3.11" else None)
        await packages.open()
        sources = {"app.py": "open('/nowhere/ran', 'w')\n", "broken.py": "def ("}
        source = Source(zipped(sources))
        path = await packages.hold(source.tree, source.chunks)
        (compiled,) = (path / "__pycache__").iterdir()
        assert compiled.name == f"app.{sys.implementation.cache_tag}.pyc"
        assert b"/var/task/app.py" in compiled.read_bytes()
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 0b01  # unchecked hash
        assert stat.S_IMODE(compiled.stat().st_mode) == 0o444

    asyncio.run(story())


def test_layers_are_laid_over_each_other_in_order_and_counted_together(tmp_path: Path) -> None:
    async def story() -> None:
        packages = await opened(tmp_path, unzipped_bytes_max=4_000)
        below = Source(zipped({"bin/a": bytes(3_984), "python/m.py": "old", "x": "file"}))
        above = Source(zipped({"python/m.py": "new!", "x/y": "deep", "bin/b": "b"}))
        sources = {source.package: source for source in (below, above)}

        def read(package: Package) -> AsyncIterator[bytes]:
            return sources[package].chunks(package)

        both = Tree((below.package, above.package), "python3.11", OPT)
        path = await packages.hold(both, read)
        found = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
        assert found == {"bin/a", "bin/b", "python/m.py", "x/y"}
        assert (path / "python/m.py").read_text() == "new!"
        assert packages.unpacked_bytes(path) == 3_984 + 3 + 4 + 4 + 4 + 1
        other = await packages.hold(Tree((above.package, below.package), "python3.11", OPT), read)
        assert other != path
        assert (other / "python/m.py").read_text() == "old"
        assert (other / "x").read_text() == "file"
        again = await opened(tmp_path)
        assert again.unpacked_bytes(await again.hold(both, read)) == 4_000
        assert (below.reads, above.reads) == (2, 2)
        with pytest.raises(PackageTooLargeError):
            await (await opened(tmp_path / "small", unzipped_bytes_max=3_999)).hold(both, read)
        assert list((tmp_path / "small/code").iterdir()) == []

    asyncio.run(story())
