"""Zip files from strangers: what comes out lies in its folder, is what another reader finds, or nothing does."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from tests.fuzz.conftest import Hunted
from tests.fuzz.hunting import Target

from fogbank.platform.runtime.functions import PackageError
from fogbank.platform.runtime.unzip import unpack

pytestmark = pytest.mark.slow

BYTES_MAX = 1 << 20
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
NAMES = (
    *(
        b"../up.py",
        b"/etc/x",
        b"a/../../x",
        b"..",
        b".",
        b"",
        b"/",
        b"a//b",
        b"a/",
        b"app.py",
        b"./app.py",
    ),
    *(
        b"a\\..\\b",
        b"C:\\x",
        b"n\0ul",
        b"x" * 300,
        b"a/" * 120 + b"b",
        b"lib/inner.py",
        b"lib",
        b"\xff\xfe",
    ),
    *(b"\xc3\xa9", b"app.py/x", b"con", b"~", b"-rf", b"\xe2\x80\xae"),
)
SIZES = (0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, BYTES_MAX, BYTES_MAX + 1)
MODES = (
    stat.S_IFLNK,
    stat.S_IFCHR,
    stat.S_IFIFO,
    stat.S_IFSOCK,
    stat.S_IFDIR,
    stat.S_IFREG,
    stat.S_ISUID,
)


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(info, content)
    return out.getvalue()


def with_link() -> bytes:
    """Return a link that leads out, and a file that would go through it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("lib")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "../../outside")
        archive.writestr("lib/inner.py", "x")
    return out.getvalue()


SEEDS = [
    zipped({"app.py": b"def handler(event, context):\n    return event\n" * 20}),
    zipped({"app.py": b"a", "lib/": b"", "lib/inner.py": b"b" * 3_000}),
    zipped({"app.py": b"stored" * 9, "data.bin": bytes(range(256))}, zipfile.ZIP_STORED),
    zipped({f"m{at}.py": b"x = %d\n" % at for at in range(12)}),
    zipped({"zeros": bytes(900_000)}),
    with_link(),
]
WORDS = (CENTRAL, LOCAL, END, b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08", *NAMES)


def records_of(data: bytes, mark: bytes) -> list[int]:
    return [at for at in range(len(data) - 4) if data[at : at + 4] == mark]


def fields_changed(draw: random.Random, data: bytes) -> bytes:
    """Change a field of an entry or of the end, in the listing, beside the file, or in both."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        mark = draw.choice((CENTRAL, CENTRAL, LOCAL, END))
        places = records_of(bytes(out), mark)
        if not places:
            continue
        at = draw.choice(places)
        form, offset = draw.choice(
            {
                CENTRAL: [("<H", 8), ("<H", 10), ("<I", 20), ("<I", 24), ("<H", 30), ("<H", 32),
                          ("<I", 38), ("<I", 42), ("<I", 16)],
                LOCAL: [("<H", 6), ("<H", 8), ("<I", 18), ("<I", 22), ("<H", 26), ("<H", 28)],
                END: [("<H", 8), ("<H", 10), ("<I", 12), ("<I", 16), ("<H", 20)],
            }[mark]
        )  # fmt: skip
        if at + offset + struct.calcsize(form) > len(out):
            continue
        value = draw.choice((*SIZES, draw.choice(MODES) << 16, draw.randrange(1 << 16)))
        if mark == CENTRAL and offset == 42:  # one entry's bytes are another's as well
            value = draw.choice(records_of(bytes(out), LOCAL) or [0]) + draw.choice((0, 0, 1, 30))
        struct.pack_into(form, out, at + offset, value & (2 ** (8 * struct.calcsize(form)) - 1))
    return renamed(draw, bytes(out)) if draw.random() < 0.4 else bytes(out)


def renamed(draw: random.Random, data: bytes) -> bytes:
    """Return another name for an entry in all places, its length and the offsets set right."""
    source = io.BytesIO(data)
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(out, "w") as made:
            infos = archive.infolist()[:20]
            chosen = draw.choice(infos) if infos else None
            for info in infos:
                fresh = zipfile.ZipInfo(info.filename)
                fresh.external_attr = info.external_attr
                if info is chosen:
                    fresh.filename = draw.choice(NAMES).decode("latin-1")
                    fresh.external_attr = draw.choice(MODES) << 16 | 0o777
                with made.open(fresh, "w") as file:
                    file.write(archive.read(info)[:5_000])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError,
            struct.error, zipfile.zlib.error):  # fmt: skip
        return data
    return out.getvalue()


class Places:
    """A folder to unpack into, with something beside it that must stay as it is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "outside").mkdir()
        (root / "outside" / "witness").write_text("as it was")
        self.into = root / "in" / "to"

    def check(self, data: bytes) -> bool:
        shutil.rmtree(self.into, ignore_errors=True)
        self.into.mkdir(parents=True)
        try:
            size = unpack(io.BytesIO(data), self.into, BYTES_MAX)
        except PackageError:
            size = -1
        self.check_outside()
        files = [path for path in self.into.rglob("*") if not path.is_dir() or path.is_symlink()]
        assert all(stat.S_ISREG(path.lstat().st_mode) for path in files)
        written = sum(path.stat().st_size for path in files)
        assert written <= BYTES_MAX
        if size < 0:
            return False
        assert size == written
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            theirs = {
                info.filename.removeprefix("./"): archive.read(info)
                for info in archive.infolist()
                if not info.filename.endswith("/")
            }
        assert {str(path.relative_to(self.into)): path.read_bytes() for path in files} == theirs
        return True

    def check_outside(self) -> None:
        assert sorted(os.listdir(self.root)) == ["in", "outside"]
        assert os.listdir(self.root / "in") == ["to"]
        assert os.listdir(self.root / "outside") == ["witness"]
        assert (self.root / "outside" / "witness").read_text() == "as it was"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_packages_are_unpacked_into_their_folder_or_refused(hunted: Hunted, tmp_path: Path) -> None:
    places = Places(tmp_path)
    outcome = hunted(
        Target("package", SEEDS, places.check, WORDS, count=250, mutate=fields_changed)
    )
    assert outcome.findings == []
    assert outcome.accepted >= len(SEEDS) - 1  # the link is refused
