"""The committed system-call filters: generated, whole, and right about every call."""

from __future__ import annotations

import errno
import importlib.util
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]


def load_tool() -> Any:
    spec = importlib.util.spec_from_file_location("tools_seccomp", ROOT / "tools/seccomp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tools_seccomp"] = module
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
ARCHITECTURES = list(TOOL.ARCHITECTURES)
ALLOW = 0x7FFF_0000


def run(program: bytes, architecture: str, number: int, *arguments: int) -> int:
    """Interpret a classic BPF program over one system call; return its verdict."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, TOOL.ARCHITECTURES[architecture], 0, *padded)
    steps = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, when, otherwise, operand = steps[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return operand
        else:
            test = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }
            at += when if test[code] else otherwise


def verdict(architecture: str, name: str, *arguments: int) -> int:
    column = 1 + ARCHITECTURES.index(architecture)
    numbers = {**TOOL.numbers(TOOL.ALLOWED, column), **TOOL.numbers(TOOL.DENIED, column)}
    return run(committed(architecture), architecture, numbers[name], *arguments)


def committed(architecture: str) -> bytes:
    return (TOOL.TARGET / f"seccomp_{architecture}.bpf").read_bytes()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_committed_program_is_what_the_tool_makes(architecture: str) -> None:
    assert committed(architecture) == TOOL.assemble(TOOL.program(architecture))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_number_has_the_verdict_of_the_tables(architecture: str) -> None:
    column = 1 + ARCHITECTURES.index(architecture)
    allowed = TOOL.numbers(TOOL.ALLOWED, column)
    denied = set(TOOL.numbers(TOOL.DENIED, column).values())
    looked_into = {allowed[name] for name in TOOL.LOOKED_INTO}
    program = committed(architecture)
    for number in range(600):
        if number in looked_into:
            continue
        expected = 0x0005_0000 | errno.ENOSYS
        if number in denied:
            expected = 0x0005_0000 | errno.EPERM
        elif number in allowed.values():
            expected = ALLOW
        assert run(program, architecture, number) == expected, number


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_calls_that_are_looked_into_depend_on_their_arguments(architecture: str) -> None:
    denied = 0x0005_0000 | errno.EPERM
    no_family = 0x0005_0000 | errno.EAFNOSUPPORT
    for name, arguments, expected in (
        ("clone", (0x003D_0F00,), ALLOW),  # a thread
        ("clone", (17,), ALLOW),  # a fork
        ("clone", (0x1000_0011,), denied),
        ("clone", (0x4000_0011,), denied),
        ("clone", (0x0200_0000,), denied),
        ("socket", (1, 1, 0), ALLOW),
        ("socket", (2, 1 | 0o2000000, 6), ALLOW),
        ("socket", (10, 2, 17), ALLOW),
        ("socket", (2, 3, 1), denied),
        ("socket", (2, 3 | 0o2000000, 1), denied),
        ("socket", (2, 10, 0), denied),
        ("socket", (16, 3, 0), ALLOW),
        ("socket", (16, 3, 12), no_family),
        ("socket", (17, 3, 0), no_family),
        ("socket", (40, 1, 0), no_family),
        ("ioctl", (0, 0x5413), ALLOW),
        ("ioctl", (0, 0x5412), denied),
        ("personality", (0xFFFF_FFFF,), ALLOW),
        ("personality", (0x0040_000,), denied),
    ):
        assert verdict(architecture, name, *arguments) == expected, (name, arguments)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_another_architectures_calls_are_unknown(architecture: str) -> None:
    program = committed(architecture)
    other = dict(TOOL.ARCHITECTURES)
    TOOL.ARCHITECTURES[architecture] = 0x4000_0003
    try:
        assert run(program, architecture, 1) == 0x0005_0000 | errno.ENOSYS
    finally:
        TOOL.ARCHITECTURES.update(other)


def test_numbers_agree_between_the_tables_where_the_kernel_shares_them() -> None:
    both = [TOOL.numbers(TOOL.ALLOWED + "," + TOOL.DENIED, column) for column in (1, 2)]
    shared = [name for name in both[0] if both[0][name] >= 424]
    assert shared
    assert all(both[0][name] == both[1][name] for name in shared)
