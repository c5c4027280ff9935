"""The way to what sandboxes with users of their own use: opened where it is ours, else named."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.clock import SystemClock
from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.sandbox import passage
from fogbank.engines.sandbox.client import SandboxRuntime
from fogbank.engines.sandbox.daemon.messages import Message
from fogbank.engines.sandbox.launch import config_of
from fogbank.engines.sandbox.offer import look
from fogbank.engines.sandbox.settings import SandboxSettings
from fogbank.platform.runtime.port import Level


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders that everybody may pass, from the root of the machine on as far as they are ours."""
    top = tmp_path / "top"
    (top / "data" / "functions").mkdir(parents=True)
    for path in (top, top / "data", top / "data" / "functions"):
        path.chmod(0o711)
    return top


def above(path: Path) -> list[str]:
    """Return the folders above a tree, which pytest keeps closed: they count as opened here."""
    return [str(folder) for folder in path.parents]


def test_folders_of_ours_are_opened_for_passing_and_for_nothing_else(tree: Path) -> None:
    data = tree / "data"
    for before, after in ((0o700, 0o711), (0o750, 0o751), (0o755, 0o755)):
        data.chmod(before)
        passage.open_way([str(data)])
        assert data.stat().st_mode & 0o777 == after


def test_the_first_folder_that_bars_the_way_is_named(tree: Path) -> None:
    wanted = [str(tree / "data" / "functions")]
    assert passage.barred(wanted, above(tree)) == ""
    tree.chmod(0o750)
    (tree / "data").chmod(0o700)
    assert f"may not pass {tree}: let others pass it (chmod o+x {tree})" in passage.barred(
        wanted, above(tree)
    )
    assert f"may not pass {tree}/data:" in passage.barred(wanted, [*above(tree), str(tree)])
    assert passage.barred(wanted, [*above(tree), str(tree), str(tree / "data")]) == ""


def test_a_file_must_be_readable_and_what_is_not_there_bars_nobody(tree: Path) -> None:
    file = tree / "python"
    assert passage.barred([str(file)], above(tree)) == ""
    file.touch(0o711)
    assert f"may not pass {file}:" in passage.barred([str(file)], above(tree))
    file.chmod(0o744)
    assert passage.barred([str(file)], above(tree)) == ""


def test_links_are_followed_to_what_bars_the_way(tree: Path) -> None:
    closed = tree / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").touch(0o755)
    (tree / "python").symlink_to(closed / "python")
    assert f"may not pass {closed}:" in passage.barred([str(tree / "python")], above(tree))


class Standing:
    """A link that stands."""

    closed = False


def runtime_in(folder: Path, level: Level, uid: int, **settings: Any) -> SandboxRuntime:
    """Return a runtime whose daemon has greeted, beside a folder of ours that all may pass."""
    asked = SandboxSettings(**settings)
    found = look(asked)
    config = config_of(folder, 4566, asked, found)
    runtime = SandboxRuntime(
        config, found, clock=SystemClock(), ids=Ids(), serve=None, settings=asked
    )
    hello = {"level": int(level), "uid": uid, "cgroup": "", "reasons": "weak"}
    runtime._said = Message("hello", hello, [])
    runtime._link = Standing()  # type: ignore[assignment]
    return runtime


def test_without_a_level_that_was_asked_for_the_bar_is_told_and_functions_are_refused(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    (closed / "work").mkdir(parents=True)
    closed.chmod(0o700)
    runtime = runtime_in(closed / "work", Level.LANDLOCK, 0)
    runtime._prepare_host()
    assert "may not pass" in runtime.barred
    assert runtime.status()["reasons"] == ["weak", runtime.barred]
    spec: Any = type("Spec", (), {"runtime": next(iter(runtime.runtimes()))})()
    nothing: Any = None
    with pytest.raises(Unavailable, match="may not pass"):
        asyncio.run(runtime.start(spec, nothing, nothing))


@pytest.mark.parametrize(("level", "uid"), [(Level.LANDLOCK, 1000), (Level.BARE, 1000)])
def test_who_runs_functions_as_itself_needs_no_way_opened(
    tmp_path: Path, level: Level, uid: int
) -> None:
    (tmp_path / "work").mkdir(mode=0o700)
    runtime = runtime_in(tmp_path / "work", level, uid)
    runtime._prepare_host()
    assert runtime.barred == ""
    assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


def test_what_functions_trust_can_be_read_whatever_the_umask(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    runtime = runtime_in(tmp_path / "work", Level.BARE, 1000, authority="PEM")
    runtime._prepare_host()
    path = tmp_path / "work" / "authority.pem"
    assert path.read_text() == "PEM"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")]
)
def test_who_has_connected_is_told_by_the_kernel(family: int, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(family) as client:
        client.connect((address, listener.getsockname()[1]))
        accepted, peer = listener.accept()
        accepted.close()
        here = listener.getsockname()
        assert passage.owner_of(peer, here) == os.getuid()
        assert passage.owner_of(("127.0.0.2", peer[1]), here) is None


def test_who_has_connected_to_another_place_from_the_same_port_is_not_meant() -> None:
    """Another's connection from that port, and one that is over (whose row has user 0), were taken."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
        socket.create_connection(one.getsockname()) as client,
    ):
        peer = client.getsockname()
        assert passage.owner_of(peer, one.getsockname()) == os.getuid()
        assert passage.owner_of(peer, two.getsockname()) is None
