"""The way of a request through a store process, counted, so that it gets longer on purpose only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_get_and_a_put_of_an_item_call_no_more_functions_than_is_promised() -> None:
    counted = subprocess.run(
        [sys.executable, "benchmarks/path_length.py", "--dry"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert counted.returncode == 0, counted.stdout[-400:] + counted.stderr[-2_000:]
