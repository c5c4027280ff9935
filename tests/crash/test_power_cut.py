"""A power cut: what was acknowledged is there, nothing is there in part, whatever was not synced.

A load runs once, recorded (``disk/recorder.py``); the disk after a cut at any point is made of the
record under a seed (``disk/disk.py``). Without one of its syncs something must be lost: the same
record, in which the syncs of one place in the program do nothing, shows that a test would notice.
That is looked for where it must show: while no later sync has made up for the one that is missing.
"""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.crash.disk.disk import Disk
from tests.crash.disk.events import Event, Said, SyncBegin
from tests.crash.disk.sites import CUT_LABELS
from tests.crash.survival import kept_damage, store_damage, upload_damage

pytestmark = [pytest.mark.crash, pytest.mark.slow]

HERE = Path(__file__).parent
CUTS = 12
CUTS_SOAK = 1_000
FIRST_CUTS = 40
BETWEEN = 40
"""At so many points while a sync is missing it is looked for what is lost without it."""
WHOLE = 4_096
"""What a disk writes whole or not at all: one with such sectors tears no page."""
ODDS = (0.0, 0.1, 0.5, 0.9, 1.0)
"""How probable it is that something lasts that was not synced: one of these for each cut."""
RECORDS = 12
"""How often a load is recorded before a sync counts as missing, or a void record as a fault."""
MEMORY = next((each for each in ("/dev/shm",) if os.access(each, os.W_OK)), None)
"""What is left by a cut is looked at once: no disk needs to hold it."""
LOADS: dict[str, Callable[..., Iterator[str]]] = {
    "cutting": store_damage,
    "keeping": kept_damage,
    "assembling": upload_damage,
}
NEEDED = ("frames.Writer.finish", "files.sync_folder<blobs.FolderSyncs._sync", "log.RedoLog._run")
"""What parts and copies stand on, beside the rows of other loads."""


class Record:
    """A recorded load."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        (folder / "root").mkdir()
        script, root = str(HERE / f"{name}.py"), str(folder / "root")
        recorder = [sys.executable, str(HERE / "disk" / "recorder.py"), str(folder / "trace"), root]
        ended = subprocess.run(
            [*recorder, sys.executable, script, root],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE / "disk" / "labels")},
        )
        assert ended.returncode in {0, os.EX_TEMPFAIL}, ended.stderr
        self.is_void = ended.returncode == os.EX_TEMPFAIL
        self.events: list[Event] = pickle.loads((folder / "trace").read_bytes())
        self.labels = {each.label for each in self.events if isinstance(each, SyncBegin)}

    def damage(self, seed: str, points: Collection[int]) -> Any:
        """Return the first damage that a cut at one of the points leaves, with its point."""
        disk, at = Disk(), 0
        for point in sorted(points):
            disk.follow(self.events[at:point])
            at = point
            draw = random.Random(f"{seed}/{point}")
            odds, sector = draw.choice(ODDS), draw.choice((512, WHOLE))
            cut = partial(disk.cut, draw=draw, odds=odds, sector=sector)
            if wrong := self._wrong(disk, cut, whole_pages=sector == WHOLE):
                return f"seed {seed}, event {point} of {len(self.events)}", wrong
        return None

    def damage_without(self, label: str) -> list[str]:
        """Return what a cut can lose if the syncs of a label do nothing.

        Looked for are the two worst things that a disk may do: keep nothing that was not synced, and
        keep everything but what those syncs were for.
        """
        for point in self._exposed(label):
            disk = Disk({label})
            disk.follow(self.events[:point])
            for cut in (disk.cut_short, disk.cut_out_of_order):
                if wrong := self._wrong(disk, cut, whole_pages=True):
                    return wrong
        return []

    def _exposed(self, label: str) -> list[int]:
        """Return points at which a sync of the label is missing, the most telling first.

        That is where most was acknowledged since: just before something else syncs the same.
        """
        disk, points = Disk({label}), []
        for index, event in enumerate(self.events):
            disk.follow([event])
            if disk.owes():
                points.append(index + 1)
        ends = set(points) - {point - 1 for point in points}
        between = points[:: max(len(points) // BETWEEN, 1)]
        return sorted(ends, reverse=True) + between

    def _wrong(self, disk: Disk, cut: Callable[[Path], None], *, whole_pages: bool) -> list[str]:
        """Cut, and return what is wrong with what is left."""
        said = [line.split() for line in disk.said.decode().split("\n")[:-1]]
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            root = Path(folder, "root")
            cut(root)
            try:
                return list(LOADS[self.name](root, said, whole_pages=whole_pages))
            except Exception as error:  # noqa: BLE001 (a start that is refused is looked for)
                return [repr(error)]


def known_of(load: str) -> set[str]:
    """Return the labels of the syncs that a load is there to show."""
    return {label for label, each in CUT_LABELS.items() if each == load}


@pytest.fixture(scope="module", params=LOADS)
def record(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Return a record of a load with all its syncs: which thread makes what varies."""
    for _ in range(RECORDS - 1):
        made = Record(request.param, tmp_path_factory.mktemp(request.param))
        if not made.is_void and made.labels >= known_of(request.param):
            return made
    made = Record(request.param, tmp_path_factory.mktemp(request.param))
    assert not made.is_void
    return made


@pytest.mark.timeout(3_600)
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    record: Record, pytestconfig: pytest.Config
) -> None:
    soak = pytestconfig.getoption("--soak")
    seed = os.environ.get("SEED") or (str(int.from_bytes(os.urandom(4))) if soak else "1")
    sys.stdout.write(f"seed {seed}\n")
    draw = random.Random(seed)
    count = CUTS_SOAK if soak else CUTS
    points = {draw.randrange(len(record.events)) for _ in range(count)}
    assert record.damage(seed, points) is None


def test_a_first_start_that_is_cut_short_can_be_made_again(record: Record) -> None:
    first = next(index for index, each in enumerate(record.events) if isinstance(each, Said))
    draw = random.Random(3)
    assert record.damage("first", draw.sample(range(first), FIRST_CUTS)) is None


def test_each_sync_of_a_load_is_one_that_is_known(record: Record) -> None:
    assert record.labels >= known_of(record.name)
    assert record.labels <= CUT_LABELS.keys()


@pytest.mark.parametrize("label", NEEDED)
def test_without_a_sync_a_power_cut_loses_what_was_uploaded(record: Record, label: str) -> None:
    if record.name == "assembling":
        assert record.damage_without(label)


@pytest.mark.parametrize("label", CUT_LABELS)
def test_without_a_sync_a_power_cut_loses_what_was_acknowledged(record: Record, label: str) -> None:
    if CUT_LABELS[label] == record.name:
        assert record.damage_without(label)
