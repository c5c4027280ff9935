"""Mutation of valid inputs, under a seed: what a stranger may send, and what must hold of it.

A target has valid seeds and a check, which says whether bytes were accepted or refused and raises
on anything else. A case follows from the target's name, the seed and its number alone: ``SEED=7``
runs the same cases again. What was found once lies in ``cases/TARGET`` and is tried in every run;
``--soak`` tries ``CASES`` of each target, puts what it finds there and goes on.

Bounds: a case takes seconds of CPU time at most (a hang is a finding), and memory in proportion to
its length.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import sys
import traceback
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

CASES = Path(__file__).with_name("cases")
CASES_SOAK = 20_000
CPU_S_MAX = 10
"""Of one case: far beyond any honest one, since what is looked for is what does not end."""
MEMORY_BASE_BYTES = 8 << 20
MEMORY_PER_BYTE = 500
"""What a byte may become: an empty element of XML is four and takes two hundred of them."""
FINDINGS_MAX = 20
BYTES_MAX = 300_000
CHANGES_MAX = 6

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
NUMBERS = (
    *(b"0", b"-1", b"1", b"00", b"+1", b"1e9", b"1E400", b"-0", b"0x10", b"1_0", b" 1", b"\xb2"),
    *(b"255", b"256", b"65536", b"2147483648", b"4294967296", b"9223372036854775808"),
    *(b"18446744073709551616", b"9" * 40, b"9" * 5_000, b"1e-400", b"0." + b"0" * 300 + b"1"),
    *(b"NaN", b"Infinity", b"-Infinity", b"", b"null", b"true"),
)
ODD = (b"", b"\0", b"\r\n", b"\n", b"\r", b" ", b"\t", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"%00",
       b"%", b"%zz", b"%2e%2e%2f", b"..", b"/", b"\\", b'"', b"'", b"{", b"}", b"[", b"]", b"<", b">",
       b"&", b"=", b";", b":", b",", b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\\u0000", b"\\ud800",
       b"${", b"#", b"*", b"?")  # fmt: skip


Check = Callable[[bytes], bool]


class Target(NamedTuple):
    """What is given strange bytes."""

    name: str
    seeds: Sequence[bytes]
    check: Check
    """Returns whether bytes were accepted; raises where what must hold does not."""
    words: Sequence[bytes] = ()
    count: int = 150
    """Cases of the ordinary suite."""
    mutate: Callable[[random.Random, bytes], bytes] | None = None
    """The target's own changes; half of the cases are changed as bytes all the same."""


class Outcome(NamedTuple):
    """What a run of one target showed."""

    cases: int
    accepted: int
    findings: list[str]


# Changes.


def span(draw: random.Random, data: bytes) -> tuple[int, int]:
    begin = draw.randrange(len(data) + 1)
    return begin, min(len(data), begin + draw.choice((1, 2, 4, 8, 30, 200)))


def put(draw: random.Random, data: bytes, piece: bytes, *, over: bool = False) -> bytes:
    begin, end = span(draw, data)
    return data[:begin] + piece + data[end if over else begin :]


def with_bit(draw: random.Random, data: bytes) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << draw.randrange(8),)) + data[at + 1 :]


def with_number(draw: random.Random, data: bytes) -> bytes:
    found = list(NUMBER.finditer(data))
    if not found:
        return put(draw, data, draw.choice(NUMBERS))
    match = draw.choice(found)
    return data[: match.start()] + draw.choice(NUMBERS) + data[match.end() :]


def with_line(draw: random.Random, data: bytes) -> bytes:
    """Drop, double or move a line."""
    lines = data.splitlines(keepends=True)
    at, to = draw.randrange(len(lines)), draw.randrange(len(lines))
    line = lines[at]
    if draw.random() < 0.4:
        del lines[at]
    if draw.random() < 0.7:
        lines.insert(to, line)
    return b"".join(lines)


def with_repeat(draw: random.Random, data: bytes) -> bytes:
    begin, end = span(draw, data)
    times = draw.choice((2, 2, 3, 10, 300, 5_000))
    return (
        data[:begin] + data[begin:end] * min(times, BYTES_MAX // max(1, end - begin)) + data[end:]
    )


def changed(draw: random.Random, data: bytes, target: Target) -> bytes:
    """Return bytes with one change."""
    kind = draw.randrange(9)
    begin, end = span(draw, data)
    if not data or kind == 0:
        return put(draw, data, draw.choice((*ODD, *target.words)))
    if kind == 1:
        return put(draw, data, draw.choice((*ODD, *target.words)), over=True)
    if kind == 2:
        return data[:begin] + data[end:]
    if kind == 3:
        return data[:begin] if draw.random() < 0.3 else put(draw, data, data[begin:end])
    if kind == 4:
        other = draw.choice(target.seeds)
        return data[:begin] + other[draw.randrange(len(other) + 1) :]
    changes = (with_bit, with_number, with_line, with_repeat)
    return changes[kind - 5](draw, data)


def case(target: Target, seed: int, number: int) -> bytes:
    """Return one input; it follows from the names and numbers alone."""
    draw = random.Random(f"{target.name} {seed} {number}")
    data = draw.choice(target.seeds)
    if target.mutate is not None:
        data = target.mutate(draw, data)
        if draw.random() < 0.5:
            return data
    for _ in range(draw.choice((1, 1, 1, 2, 3, CHANGES_MAX))):
        data = changed(draw, data, target)[:BYTES_MAX]
    return data


# Changes of values that are not bytes.


def odd_value(draw: random.Random, value: Any) -> Any:
    """Return what may stand where a value of JSON stood."""
    deep: Any = draw.choice(([], {}, "x"))
    for _ in range(draw.choice((1, 2, 40, 120))):
        deep = [deep] if draw.random() < 0.5 else {"M": deep}
    return draw.choice(
        (None, True, 0, -1, 2**31, 2**63, -(2**63) - 1, 1.5, 1e308, "", "x" * 3_000, "\0", "\ud800",
         "9" * 50, "1E+200", "*", "..", [], {}, [value], {"S": value}, [value] * 101, deep,
         str(value), {"x" * 300: value})
    )  # fmt: skip


def value_changed(draw: random.Random, value: Any) -> Any:
    """Return a value of JSON with one of its parts changed."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        out: dict[str, Any] = dict(value)
        name = draw.choice(list(out))
        kind = draw.randrange(10)
        if kind == 0:
            del out[name]
        elif kind == 1:
            out[draw.choice((*out, "", name.lower(), name + "s", "\0"))] = out.pop(name)
        else:
            out[name] = value_changed(draw, out[name])
        return out
    if isinstance(value, list) and value and draw.random() < 0.9:
        items = list(value)
        at = draw.randrange(len(items))
        if draw.random() < 0.3:
            items[at:at] = [items[at]] * draw.choice((1, 1, 30, 1_200))
        else:
            items[at] = value_changed(draw, items[at])
        return items
    return odd_value(draw, value)


def json_changed(draw: random.Random, data: bytes) -> bytes:
    """Return a document of JSON with some of its values changed."""
    value = json.loads(data)
    for _ in range(draw.choice((1, 1, 2))):
        value = value_changed(draw, value)
    return json.dumps(value, ensure_ascii=draw.random() < 0.9).encode("utf-8", "surrogatepass")


# Running.


class HangError(Exception):
    """A case does not end."""


@contextmanager
def cpu_below(seconds: float) -> Iterator[None]:
    """Break off what takes more CPU time; the time of the machine's other work does not count."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def attempt(target: Target, data: bytes) -> bool:
    """Return whether a case was accepted; raise if anything does not hold of it."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with cpu_below(CPU_S_MAX):
        accepted = target.check(data)
    taken = tracemalloc.get_traced_memory()[1] - before
    bound = MEMORY_BASE_BYTES + MEMORY_PER_BYTE * len(data)
    assert taken <= bound, f"{taken} bytes for {len(data)}"
    return accepted


def place_of(error: BaseException) -> str:
    """Return what tells a finding from others: its type and where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def kept(target: Target) -> list[Path]:
    """Return the inputs in which something was found once."""
    folder = CASES / target.name
    return sorted(folder.iterdir()) if folder.is_dir() else []


def keep(target: Target, data: bytes) -> Path:
    path = CASES / target.name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def inputs(target: Target, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes: valid seeds, what was found once, and cases."""
    for number, data in enumerate(target.seeds):
        yield f"seed input {number}", data
    for path in kept(target):
        yield f"cases/{target.name}/{path.name}", path.read_bytes()
    for number in range(count):
        yield f"SEED={seed}, case {number}", case(target, seed, number)


def hunt(target: Target, seed: int, count: int, *, soak: bool) -> Outcome:
    """Try the cases of a target and return what was found, a line each."""
    found: dict[str, str] = {}
    cases = accepted = 0
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        for name, data in inputs(target, seed, count):
            cases += 1
            try:
                accepted += attempt(target, data)
            except Exception as error:  # noqa: BLE001 (any is a finding)
                place = place_of(error)
                if place in found:
                    continue
                where = f", kept as {keep(target, data).name}" if soak else f": {data[:2_000]!r}"
                found[place] = f"{place}, {name}{where}: {str(error)[:1_000]}"
                sys.stderr.write("".join(traceback.format_exception(error))[-6_000:])
                if len(found) >= FINDINGS_MAX:
                    break
    finally:
        if not traced:
            tracemalloc.stop()
    return Outcome(cases, accepted, list(found.values()))


def seed_of(*, soak: bool) -> int:
    """Return the seed of this run: ``SEED``, or another one each time in a soak."""
    if soak and "SEED" not in os.environ:
        return int.from_bytes(os.urandom(4))
    return int(os.environ.get("SEED", "1"))
