from __future__ import annotations

from fogbank.platform.metering import meters
from fogbank.platform.metering.exposition import (
    Family,
    counter,
    gauge,
    labelled,
    merged,
    packed,
    text_of,
    unpacked,
)
from fogbank.platform.metering.meters import BUCKETS, FineHistogram, Histogram, RequestMeter


def test_a_duration_falls_below_the_next_power_of_two() -> None:
    found = Histogram()
    for micros in (0, 1, 63, 64, 1 << 40):
        found.add(micros)
    assert (found.buckets[0], found.buckets[1], found.buckets[6], found.buckets[7]) == (1, 1, 1, 1)
    assert found.buckets[BUCKETS - 1] == 1
    assert found.count == 5


def test_label_sets_are_bounded(monkeypatch: object) -> None:
    meter = RequestMeter()
    for number in range(meters.SERIES_MAX + 10):
        meter.ended("s3", f"Operation{number}", "", 1)
    series = dict(meter)
    assert len(series) == meters.SERIES_MAX + 1
    assert series["other", "other", "other"].count == 10


def test_figures_have_the_text_form_of_prometheus() -> None:
    found = Histogram()
    found.add(100)
    found.add(200_000_000)
    text = text_of(
        [
            counter("a_total", "As.", 2),
            gauge("b", "Back\\slash and\nnewline.", 0.5),
            Family("c_seconds", "histogram", "Cs.", [({"x": 'q"'}, found)]),
        ]
    )
    lines = text.splitlines()
    assert lines[:6] == [
        "# HELP a_total As.",
        "# TYPE a_total counter",
        "a_total 2",
        "# HELP b Back\\\\slash and\\nnewline.",
        "# TYPE b gauge",
        "b 0.5",
    ]
    assert 'c_seconds_bucket{x="q\\"",le="6.4e-05"} 0' in lines
    assert 'c_seconds_bucket{x="q\\"",le="0.000128"} 1' in lines
    assert 'c_seconds_bucket{x="q\\"",le="+Inf"} 2' in lines
    assert 'c_seconds_count{x="q\\""} 2' in lines
    assert 'c_seconds_sum{x="q\\""} 200.0001' in lines


def test_figures_of_several_processes_are_one_text_with_a_label_for_each() -> None:
    found = Histogram()
    found.add(100)
    families = [
        gauge("a", "As.", 2),
        Family("c_seconds", "histogram", "Cs.", [({"x": "y"}, found)]),
    ]
    travelled = unpacked(packed(families))
    assert text_of(travelled) == text_of(families)
    both = merged([*labelled(families, {"process": "0"}), *labelled(travelled, {"process": "1"})])
    lines = text_of(both).splitlines()
    assert lines[:4] == [
        "# HELP a As.",
        "# TYPE a gauge",
        'a{process="0"} 2',
        'a{process="1"} 2',
    ]
    assert sum(line.startswith("# TYPE c_seconds") for line in lines) == 1
    assert 'c_seconds_count{process="1",x="y"} 1' in lines


def test_a_fine_histogram_is_the_same_after_its_way_from_process_to_process() -> None:
    found = FineHistogram()
    for micros in (0, 4_500, 4_501, 5_000, 70_000_000):
        found.add(micros)
    families = [Family("c_seconds", "histogram", "Cs.", [({}, found)])]
    lines = text_of(families).splitlines()
    for line in (
        'c_seconds_bucket{le="0.0045"} 2',
        'c_seconds_bucket{le="0.005"} 4',
        'c_seconds_bucket{le="60"} 4',
        'c_seconds_bucket{le="+Inf"} 5',
        "c_seconds_count 5",
    ):
        assert line in lines, line
    assert text_of(unpacked(packed(families))).splitlines() == lines
