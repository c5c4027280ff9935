from __future__ import annotations

import threading

import pytest

from fogbank.platform.metering import throughput
from fogbank.platform.metering.throughput import Meter, Meters, Name, Rate, Tab
from fogbank.testing.clock import VirtualClock

TEN = Rate(10, 30)
NAME = Name("table", -1, writes=True)


def test_a_meter_begins_full_and_saves_no_more_than_it_may() -> None:
    meter = Meter()
    assert meter.has_any(TEN, 5.0)
    assert meter.left == 30
    meter.take(40)
    assert not meter.has_any(TEN, 5.9)
    assert meter.has_any(TEN, 6.1)
    assert meter.left == pytest.approx(1)
    assert meter.has_any(TEN, 1_000.0)
    assert meter.left == 30
    assert meter.taken == 40


def test_a_body_that_runs_again_takes_once() -> None:
    meter, tab = Meter(), Tab()
    first, second = object(), object()
    tab.of(first).take(meter, 3)
    tab.of(first).take(meter, 4)
    assert meter.taken == 7
    tab.of(second).take(meter, 5)
    assert meter.taken == 5
    tab.settle()
    tab.of(first).take(meter, 1)
    assert meter.taken == 6


def test_only_the_thread_that_serves_takes() -> None:
    """First runs, whose results are thrown away, run in threads (``engines/embedded/warming``)."""
    meters = Meters(VirtualClock())
    assert meters.here
    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(meters.here))
    other.start()
    other.join()
    assert found == [False]
    assert meters.here


def test_meters_are_bounded_whatever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "METERS_MAX", 3)
    monkeypatch.setattr(throughput, "PARTITIONS_MAX", 2)
    meters = Meters(VirtualClock())
    for number in range(10):
        meters.meter_of(NAME._replace(part=number)).take(1)
        meters.meter_of(NAME._replace(partition=bytes([number + 1]))).take(1)
    assert [name.part for name, _ in meters] == [7, 8, 9]
    assert meters.meter_of(NAME._replace(part=9)).taken == 1
    assert meters.meter_of(NAME._replace(part=0)).taken == 0
