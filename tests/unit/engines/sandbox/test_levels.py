"""Which level a daemon takes: the strongest that works, or the one asked for, never another."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.engines.sandbox.daemon import __main__ as daemon
from fogbank.engines.sandbox.daemon import cgroups, landlock, zygotes
from fogbank.engines.sandbox.daemon.config import BARE, FULL, LANDLOCK, ROOTLESS
from fogbank.engines.sandbox.daemon.root import Plan

PLAN = Plan({}, (), {}, {}, ())
INTERPRETERS = {"python3.11": zygotes.Interpreter("/usr/bin/python3.11", PLAN)}
ROOT, ORDINARY = zygotes.Identity(True, 0, 0), zygotes.Identity(False, 1000, 1000)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What this machine forbids: why there are no namespaces, no walls."""
    forbids = {"namespaces": "", "walls": ""}
    monkeypatch.setattr(daemon, "_isolate", lambda *_: forbids["namespaces"])
    monkeypatch.setattr(landlock, "probe", lambda *_: forbids["walls"])
    monkeypatch.setattr(landlock, "abi", lambda: 3)
    return forbids


def level(forced: int, identity: zygotes.Identity, why_not_full: str = "") -> tuple[int, str]:
    found, reasons = daemon._level(forced, identity, INTERPRETERS, Path("/x"), why_not_full)
    return found, "; ".join(reasons)


def test_the_strongest_level_that_works_is_taken(machine: dict[str, str]) -> None:
    assert level(0, ROOT) == (FULL, "")
    assert level(0, ORDINARY, "it needs root") == (ROOTLESS, "")
    machine["namespaces"] = "no user namespaces"
    found, reasons = level(0, ROOT)
    assert found == LANDLOCK
    assert "no namespaces: no user namespaces" in reasons
    assert "TCP is open" in reasons  # what ABI 3 lacks
    machine["walls"] = "Landlock is not in this kernel, or switched off"
    found, reasons = level(0, ROOT)
    assert found == BARE
    assert "no walls: Landlock is not in this kernel" in reasons


@pytest.mark.parametrize("forced", [FULL, ROOTLESS, LANDLOCK, BARE])
def test_a_level_that_is_asked_for_is_taken(machine: dict[str, str], forced: int) -> None:
    assert level(forced, ROOT)[0] == forced
    assert machine == {"namespaces": "", "walls": ""}


@pytest.mark.parametrize(
    ("forced", "why_not_full", "namespaces", "walls", "words"),
    [
        (FULL, "it needs root", "", "", r"level 1 \(full\) .* it needs root"),
        (FULL, "", "no user namespaces", "", r"level 1 \(full\) .* no user namespaces"),
        (ROOTLESS, "", "no user namespaces", "", r"level 2 \(rootless\) .* no user namespaces"),
        (
            LANDLOCK,
            "",
            "",
            "Landlock is not in this kernel",
            r"level 3 \(landlock\) .* Landlock is",
        ),
    ],
)
def test_a_level_that_cannot_be_had_is_refused_with_the_reason(
    machine: dict[str, str],
    forced: int,
    why_not_full: str,
    namespaces: str,
    walls: str,
    words: str,
) -> None:
    machine.update(namespaces=namespaces, walls=walls)
    with pytest.raises(daemon.Refused, match=words):
        level(forced, ROOT, why_not_full)


def test_a_machine_without_landlock_says_so_when_it_is_probed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert landlock.probe((), "/") == "Landlock is not in this kernel, or switched off"


def test_a_machine_without_a_filter_for_its_architecture_has_no_walls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 6)
    monkeypatch.setattr(landlock, "programs", lambda **_: [])
    assert "there is no system-call filter" in landlock.probe((), "/")


def test_no_group_is_left_of_a_refusal(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base = tmp_path / "group"
    base.mkdir()
    groups = cgroups.Cgroups(dict.fromkeys(cgroups.CONTROLLERS, base), unified=True)
    monkeypatch.setattr(cgroups, "find", lambda: (groups, "here"))
    machine["walls"] = "none"
    config = type("Asked", (), {"level_forced": LANDLOCK})()
    with pytest.raises(daemon.Refused):
        daemon.look(config, INTERPRETERS, tmp_path)
    assert not base.exists()
