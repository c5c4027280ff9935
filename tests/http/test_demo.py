"""The photo example tells right from wrong, and ``make demo KEEP=1`` leaves a cloud one can use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "photo"
ONE_SCENE = 'SCENES = (("small.jpg", "JPEG", 320, 240, 6, "2025:02:28 17:03:09"),)\n'
LIMIT_S = "60"
SHORT_LIMIT_S = "8"
"""For the one that never gets what it waits for."""
WAIT_S = 180


def copy_of(folder: Path, *, was: str, now: str) -> Path:
    """Copy the example with one small picture and one line of its function changed."""
    copy = shutil.copytree(EXAMPLE, folder / "photo", ignore=shutil.ignore_patterns("__pycache__"))
    pictures = copy / "pictures.py"
    before, _, after = pictures.read_text().partition("SCENES = (")
    pictures.write_text(before + ONE_SCENE + after.partition("\n)\n")[2])
    function = copy / "function" / "app.py"
    assert was in function.read_text()
    function.write_text(function.read_text().replace(was, now))
    return copy


@pytest.mark.parametrize(
    ("was", "now", "status", "said"),
    [
        ("EDGE * 2", "EDGE * 2", 0, "1 pictures, 1 thumbnails, 1 rows: all right"),
        ("width, height = height, width", "pass", 1, "small.jpg: width is 320, not 240"),
        ('"name": {"S": key},', '"name": {"S": "other"},', 1, "FAILED: no row of small.jpg"),
        ("upright.thumbnail((EDGE, EDGE))", "pass", 1, "FAILED: small.jpg: thumbnail of 240 x 320"),
        ('Key=f"{key}.jpg"', 'Key="other"', 1, "FAILED: no thumbnail of small.jpg"),
        ("created = taken_at(picture) or", "created =", 1, "FAILED: small.jpg: created 2"),
        ("dynamodb.put_item(", "dict(", 1, f"timed out after {SHORT_LIMIT_S} s: rows"),
    ],
)
def test_the_example_ends_well_only_if_every_thumbnail_and_row_is_right(
    was: str, now: str, status: int, said: str, tmp_path: Path
) -> None:
    example = copy_of(tmp_path, was=was, now=now)
    limit_s = SHORT_LIMIT_S if "timed out" in said else LIMIT_S
    with Server(tmp_path / "data") as server:
        done = subprocess.run(
            [sys.executable, example / "run.py", "--limit", limit_s],
            env={**os.environ, **server.environment()},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert (done.returncode, said in done.stdout) == (status, True), done.stdout + done.stderr


def test_make_demo_keeps_serving_on_4566_when_asked_to() -> None:
    planned = subprocess.run(
        ["make", "--no-print-directory", "-n", "demo", "KEEP=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert planned.stdout.rstrip().endswith("examples/photo/demo.py --keep")
    usage = subprocess.run(
        [sys.executable, EXAMPLE / "demo.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "with --keep: 4566" in " ".join(usage.stdout.split())


def test_a_demo_that_is_kept_says_how_to_use_it_and_what_it_says_works() -> None:
    demo = subprocess.Popen(
        [sys.executable, EXAMPLE / "demo.py", "--keep", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        # Who runs the suite in the background ignores interrupts, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no threads)
    )
    assert demo.stdout is not None
    said: list[str] = []
    for line in demo.stdout:
        said.append(line)
        if line.startswith("Ctrl-C ends it"):
            break
    commands = [line.strip() for line in said[-10:] if line.startswith("  ")]
    try:
        script = " && ".join(commands)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        used = subprocess.run(
            ["sh", "-c", script],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    finally:
        demo.send_signal(signal.SIGINT)
        ended = demo.wait(WAIT_S)
        demo.stdout.close()
        data = said[0].rstrip().rpartition(" in ")[2]
        shutil.rmtree(Path(data).parent)
    assert (used.returncode, ended) == (0, 0), "".join(said) + used.stdout + used.stderr
    assert len(commands) == 5
    for word in ("small.jpg.jpg", "content_type", "REPORT RequestId", "'Name': 'thumbnails'"):
        assert word in used.stdout
