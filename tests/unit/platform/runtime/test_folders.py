"""Folders that functions take their code from: what is read, what never is, who shares a look."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fogbank.platform.runtime import folders as module
from fogbank.platform.runtime.folders import FolderError, Folders


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return an allowed folder with the code ``code`` in it."""
    code = tmp_path / "top" / "code"
    (code / "lib").mkdir(parents=True)
    (code / "app.py").write_text("one")
    (code / "lib" / "more.py").write_text("two")
    (tmp_path / "secret").write_text("not for functions")
    return tmp_path / "top"


async def packed(folders: Folders, folder: Path) -> tuple[str, dict[str, bytes], bytes]:
    """Return the mark, the files and the bytes of a packed folder."""
    pack = await folders.pack(str(folder))
    raw = b"".join([piece async for piece in pack.pieces])
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return pack.mark, {name: archive.read(name) for name in archive.namelist()}, raw


def test_a_folder_is_packed_as_it_is_and_equal_files_are_equal_packs(top: Path) -> None:
    code = top / "code"
    (code / "app.py").chmod(0o755)
    (code / ".git").mkdir()
    (code / ".git" / "HEAD").write_text("left out")
    (code / "__pycache__").mkdir()

    async def story() -> None:
        folders = Folders([str(top)])
        mark, files, raw = await packed(folders, code)
        assert files == {"app.py": b"one", "lib/more.py": b"two"}
        assert mark == await folders.look(str(code))
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            assert archive.getinfo("app.py").external_attr >> 16 == 0o100755
        os.utime(code / "app.py", (1, 1))
        again, _, same = await packed(folders, code)
        assert same == raw
        assert again != mark

    asyncio.run(story())


def edits(code: Path) -> Iterator[None]:
    (code / "app.py").write_text("three")
    yield
    (code / "lib" / "more.py").rename(code / "lib" / "other.py")
    yield
    (code / "app.py").chmod(0o600)
    yield
    # As editors do: another file of the same size and time in its place.
    status = (code / "app.py").stat()
    (code / "new").write_text("THREE")
    (code / "new").chmod(0o600)
    os.utime(code / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (code / "new").rename(code / "app.py")
    yield
    (code / "app.py").unlink()
    yield


def test_every_change_of_a_file_is_seen(top: Path) -> None:
    async def story() -> list[str]:
        folders = Folders([str(top)])
        marks = [await folders.look(str(top / "code"))]
        for _ in edits(top / "code"):
            marks.append(await folders.look(str(top / "code")))
            assert marks[-1] == await folders.look(str(top / "code"))
        return marks

    marks = asyncio.run(story())
    assert len(set(marks)) == len(marks) == 6


def refusal(folders: Folders, folder: str) -> str:
    for work in (folders.look, folders.pack):
        with pytest.raises(FolderError) as caught:
            asyncio.run(work(folder))  # type: ignore[arg-type]
    return str(caught.value)


def test_only_what_lies_below_a_folder_that_the_operator_named_is_read(
    top: Path, tmp_path: Path
) -> None:
    folders = Folders([str(top)])
    (top / "way-out").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "top-secret", top / "..", top / "way-out", Path("/")):
        assert "functions.hot_reload" in refusal(folders, str(folder))
    for text in ("top/code", "", f"{top}/a\0b"):
        assert "no absolute path" in refusal(folders, text)
    assert "No such file" in refusal(folders, str(top / "none"))
    assert "Not a directory" in refusal(folders, str(top / "code" / "app.py"))
    assert not Folders().are_allowed
    assert "functions.hot_reload" in refusal(Folders(), str(top / "code"))


def test_no_link_is_followed_and_nothing_but_files_is_read(top: Path, tmp_path: Path) -> None:
    code = top / "code"
    (code / "link.py").symlink_to(tmp_path / "secret")
    (code / "folder").symlink_to(tmp_path)
    os.mkfifo(code / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(code / "socket"))
    _, files, _ = asyncio.run(packed(Folders([str(top)]), code))
    assert sorted(files) == ["app.py", "lib/more.py"]


def test_a_folder_or_a_file_that_becomes_a_link_while_it_is_read_leads_nowhere(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, real = top / "code", os.open

    def swapping(victim: Path) -> Any:
        def swapped(path: Any, *given: Any, **more: Any) -> int:
            if Path(path).name == victim.name and not victim.is_symlink():
                victim.rename(victim.with_name("away"))
                victim.symlink_to(tmp_path / "secret" if victim.name == "app.py" else tmp_path)
            return real(path, *given, **more)

        return swapped

    for victim in (code / "app.py", code / "lib"):
        monkeypatch.setattr(module.os, "open", swapping(victim))
        with pytest.raises(FolderError, match="cannot be read"):
            asyncio.run(packed(Folders([str(top)]), code))
    # One above the folder: it lies elsewhere then.
    (tmp_path / "code").mkdir()
    monkeypatch.setattr(module.os, "open", real)
    folders = Folders([str(top)])
    real_path = folders.require(str(code))
    top.rename(tmp_path / "moved")
    top.symlink_to(tmp_path)
    with pytest.raises(FolderError, match="another folder now"):
        folders._mark_of(real_path)


def test_a_folder_is_read_within_bounds(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders([str(top)])
    monkeypatch.setattr(module, "BYTES_MAX", 5)
    with pytest.raises(FolderError, match="more than 5 bytes"):
        asyncio.run(packed(folders, top / "code"))
    monkeypatch.setattr(module, "DEPTH_MAX", 0)
    assert "levels" in refusal(folders, str(top / "code"))
    monkeypatch.setattr(module, "ENTRIES_MAX", 2)
    monkeypatch.setattr(module, "DEPTH_MAX", 9)
    assert "more than 2 entries" in refusal(folders, str(top / "code"))


def test_those_who_come_while_a_look_is_under_way_share_the_next_one(top: Path) -> None:
    folders, code = Folders([str(top)]), top / "code"
    begun, go, looks = threading.Event(), threading.Event(), []
    mark_of = folders._mark_of

    def slowly(real: str) -> str:
        looks.append(real)
        begun.set()
        go.wait()
        return mark_of(real)

    folders._mark_of = slowly  # type: ignore[method-assign]

    async def story() -> None:
        first = asyncio.create_task(folders.look(str(code)))
        await asyncio.to_thread(begun.wait)
        # Who goes away in the midst takes no look from the others.
        gone, *others = [asyncio.create_task(folders.look(str(code))) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        gone.cancel()
        (code / "app.py").write_text("changed since the first look began")
        go.set()
        marks = await asyncio.gather(*others)
        assert set(marks) == {mark_of(str(code))}
        assert len(looks) == 2
        assert folders._looks == {}

    asyncio.run(story())
