"""``fogbank runtime``: what is listed, and what adding an interpreter does to the settings."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from fogbank.server.cli import main

OWN = f"python3.{sys.version_info[1]}"


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """What looks like Python 3.19 and can run nothing: it is looked at and not started."""
    prefix = tmp_path / "python"
    library = prefix / "lib" / "python3.19"
    for name in (
        "os.py",
        "ssl.py",
        "zoneinfo/__init__.py",
        "lib-dynload/_ctypes.x.so",
        "lib-dynload/_ssl.x.so",
    ):
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    path = prefix / "bin" / "python3.19"
    path.parent.mkdir()
    path.touch(mode=0o755)
    return path


@pytest.mark.parametrize(
    "before",
    [
        "",
        'region = "eu-west-1"\n',
        "[functions]\nspares = 1\n",
        '# mine\n[functions]\ninterpreters = [\n  "/a/node",\n]\nspares = 1\n[s3]\n',
    ],
)
def test_a_path_is_added_and_nothing_else_is_changed(
    tmp_path: Path, interpreter: Path, before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fogbank.toml"
    if before:
        file.write_text(before)
    words = ["runtime", "add", "python3.19", str(interpreter), "--data", str(tmp_path)]
    assert main(words) == 0
    assert main(words) == 0, "once more changes nothing"
    values = tomllib.loads(file.read_text())
    named = values["functions"].pop("interpreters")
    assert named == [*(["/a/node"] if "/a/node" in before else []), str(interpreter)]
    wanted = tomllib.loads(before)
    wanted.setdefault("functions", {}).pop("interpreters", None)
    assert values == wanted
    assert "# mine" in file.read_text() or "# mine" not in before
    capsys.readouterr()
    assert main(["runtime", "list", "--data", str(tmp_path)]) == 0
    assert f"python3.19       yes  {interpreter}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["dotnet8"], "has not built the runtime dotnet8"),
        (["python3.18"], "python3.18 needs"),
        (["python3.18", "/bin/true"], "is not an interpreter of python3.18"),
    ],
)
def test_what_cannot_be_added_says_why_and_leaves_no_file(
    tmp_path: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runtime", "add", *words, "--data", str(tmp_path)]) == 1
    assert why in capsys.readouterr().err
    assert not (tmp_path / "fogbank.toml").exists()


def test_what_is_here_need_not_be_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runtime", "add", OWN, "--data", str(tmp_path)]) == 0
    assert "can run here already" in capsys.readouterr().out
    assert not (tmp_path / "fogbank.toml").exists()
