"""Figures as Prometheus reads them.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from fogbank.platform.metering.meters import FINE_EDGES_US, FineHistogram, Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FIRST_BUCKET: Final = 6
_LAST_BUCKET: Final = 26
"""From 64 microseconds to 67 seconds: what lies outside is in the first and last bucket."""
Labels = Mapping[str, str]


class Family(NamedTuple):
    """All figures of one name."""

    name: str
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    meaning: str
    samples: Iterable[tuple[Labels, float | Histogram]]


def counter(name: str, meaning: str, value: float) -> Family:
    """Return a figure that only grows."""
    return Family(name, "counter", meaning, [({}, value)])


def gauge(name: str, meaning: str, value: float) -> Family:
    """Return a figure that comes and goes."""
    return Family(name, "gauge", meaning, [({}, value)])


def labelled(families: Iterable[Family], labels: Labels) -> Iterator[Family]:
    """Yield figures with further labels in front of their own."""
    for name, kind, meaning, samples in families:
        yield Family(name, kind, meaning, [({**labels, **own}, value) for own, value in samples])


def merged(families: Iterable[Family]) -> list[Family]:
    """Return figures with the samples of each name together, as the format wants them."""
    found: dict[str, Family] = {}
    for family in families:
        known = found.get(family.name)
        samples = [*known.samples, *family.samples] if known is not None else family.samples
        found[family.name] = (known or family)._replace(samples=samples)
    return list(found.values())


def packed(families: Iterable[Family]) -> bytes:
    """Return figures as they travel from process to process."""
    return msgspec.msgpack.encode(
        [
            (name, kind, meaning, [(labels, _plain(value)) for labels, value in samples])
            for name, kind, meaning, samples in families
        ]
    )


def _plain(value: float | Histogram) -> float | list[int]:
    return [value.sum_us, *value.buckets] if isinstance(value, Histogram) else value


_decode: Final = msgspec.msgpack.Decoder(
    list[tuple[str, str, str, list[tuple[dict[str, str], float | list[int]]]]]
).decode


def unpacked(raw: bytes) -> list[Family]:
    """Return figures that came from another process."""
    return [
        Family(name, kind, meaning, [(labels, _figure(value)) for labels, value in samples])
        for name, kind, meaning, samples in _decode(raw)
    ]


def _figure(value: float | list[int]) -> float | Histogram:
    if not isinstance(value, list):
        return value
    found = FineHistogram() if len(value) == len(FINE_EDGES_US) + 2 else Histogram()
    assert len(value) == len(found.buckets) + 1, "a histogram of another program"
    found.sum_us, found.buckets = value[0], value[1:]
    return found


def text_of(families: Iterable[Family]) -> str:
    """Return figures in the text format."""
    return "\n".join(line for family in families for line in _lines(family)) + "\n"


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.meaning)}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        if isinstance(value, Histogram):
            yield from _histogram(family.name, labels, value)
        else:
            yield f"{family.name}{_labels(labels)} {_number(value)}"


def _histogram(name: str, labels: Labels, found: Histogram) -> Iterator[str]:
    """Yield the buckets of a histogram, which are cumulative, in seconds."""
    for edge_us, below in _fine(found) if isinstance(found, FineHistogram) else _by_powers(found):
        edge = _number(edge_us / 1_000_000)
        yield f"{name}_bucket{_labels({**labels, 'le': edge})} {below}"
    total = found.count
    yield f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {total}"
    yield f"{name}_sum{_labels(labels)} {_number(found.sum_us / 1_000_000)}"
    yield f"{name}_count{_labels(labels)} {total}"


def _by_powers(found: Histogram) -> Iterator[tuple[int, int]]:
    """Yield edges in microseconds, and how many durations lie below each."""
    below = sum(found.buckets[:_FIRST_BUCKET])
    for bits in range(_FIRST_BUCKET, _LAST_BUCKET + 1):
        below += found.buckets[bits]
        yield 1 << bits, below


def _fine(found: FineHistogram) -> Iterator[tuple[int, int]]:
    """Yield edges in microseconds, and how many durations lie at or below each."""
    return zip(FINE_EDGES_US, accumulate(found.buckets), strict=False)  # the last has no edge


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
