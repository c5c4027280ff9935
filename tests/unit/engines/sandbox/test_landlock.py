"""Level 3's rules byte by byte, against a kernel that only notes what it is told."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from fogbank.engines.sandbox.daemon import landlock
from fogbank.engines.sandbox.daemon.landlock import Kernel, Walls

READ_FILE, WRITE_FILE, EXECUTE, READ_DIR = 4, 2, 1, 8


class NotingKernel:
    """A kernel of a given Landlock ABI; 0 has none."""

    def __init__(self, abi: int, refusal: int = errno.EOPNOTSUPP) -> None:
        self._abi = abi
        self._refusal = refusal
        self.attributes = b""
        self.rules: list[tuple[int, int, str]] = []
        self.restricted = False

    def create(self, attributes: bytes, flags: int) -> int:
        if not self._abi:
            raise OSError(self._refusal, "no")
        if flags == 1:
            assert attributes == b""
            return self._abi
        self.attributes = attributes
        return os.open(os.devnull, os.O_RDONLY)

    def add(self, ruleset: int, kind: int, attributes: bytes) -> None:
        os.fstat(ruleset)
        if kind == 1:
            assert len(attributes) == 12  # packed: no padding after the descriptor
            access, fd = struct.unpack("=Qi", attributes)
            self.rules.append((kind, access, os.readlink(f"/proc/self/fd/{fd}")))
        else:
            access, port = struct.unpack("=QQ", attributes)
            self.rules.append((kind, access, str(port)))

    def restrict(self, ruleset: int) -> None:
        os.fstat(ruleset)
        self.restricted = True

    @property
    def kernel(self) -> Kernel:
        return Kernel(self.create, self.add, self.restrict)


@pytest.mark.parametrize(
    ("abi", "fields"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (7, (0xFFFF, 3, 3)),
        (99, (0xFFFF, 3, 3)),
    ],
)
def test_a_rule_set_takes_away_all_that_the_abi_knows(abi: int, fields: tuple[int, ...]) -> None:
    assert landlock.ruleset(abi) == struct.pack(f"={len(fields)}Q", *fields)


@pytest.mark.parametrize("abi", [1, 3, 4, 6])
def test_the_rules_allow_what_is_listed_and_no_more(tmp_path: Path, abi: int) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "file").touch()
    noting = NotingKernel(abi)
    readable = (str(tmp_path / "code"), str(tmp_path / "file"), str(tmp_path / "missing"))
    walls = Walls(readable, ("/dev/null",), (str(tmp_path / "own"),), (4566,))
    landlock.restrict(walls, noting.kernel)
    truncate = 1 << 14 if abi >= 3 else 0
    own = {1: 0x17BF, 3: 0x77BF, 4: 0x77BF, 6: 0x77BF}[abi]
    expected = [
        (1, own, str(tmp_path / "own")),
        (1, READ_FILE | EXECUTE | READ_DIR, str(tmp_path / "code")),
        (1, READ_FILE | EXECUTE, str(tmp_path / "file")),
        (1, READ_FILE | WRITE_FILE | truncate, "/dev/null"),
    ]
    assert noting.rules == expected + ([(2, 2, "4566")] if abi >= 4 else [])
    assert noting.restricted


def test_no_devices_can_be_made_even_in_the_own_tree() -> None:
    assert landlock.OWN & (landlock.MAKE_CHAR | landlock.MAKE_BLOCK | landlock.IOCTL_DEV) == 0


def test_a_writable_tree_that_is_missing_is_an_error(tmp_path: Path) -> None:
    noting = NotingKernel(6)
    with pytest.raises(FileNotFoundError):
        landlock.restrict(Walls((), (), (str(tmp_path / "none"),), ()), noting.kernel)
    assert not noting.restricted


@pytest.mark.parametrize("refusal", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_kernel_without_landlock_has_abi_0_and_raises_no_walls(refusal: int) -> None:
    noting = NotingKernel(0, refusal)
    assert landlock.abi(noting.kernel) == 0
    with pytest.raises(OSError, match="not in this kernel"):
        landlock.restrict(Walls((), (), (), ()), noting.kernel)


def test_another_error_of_the_kernel_is_not_taken_for_absence() -> None:
    with pytest.raises(PermissionError):
        landlock.abi(NotingKernel(0, errno.EPERM).kernel)


def test_what_a_kernel_lacks_is_said() -> None:
    assert [len(landlock.lacking(abi)) for abi in (1, 2, 3, 4, 5, 6, 7)] == [3, 3, 2, 1, 1, 0, 0]
    assert "TCP is open" in landlock.lacking(3)[0]
    assert "signalled" in landlock.lacking(5)[0]


def test_the_allowlist_of_calls_is_loaded_last_because_it_forbids_loading_more() -> None:
    shared, walled, base = landlock.programs(walled=True, shared=True, machine="x86_64")
    assert landlock.programs(walled=True, shared=False, machine="x86_64") == [walled, base]
    assert landlock.programs(walled=False, shared=True, machine="x86_64") == [base]
    assert len(base) > len(walled) > len(shared)
    assert landlock.programs(walled=True, shared=True, machine="vax") == []
