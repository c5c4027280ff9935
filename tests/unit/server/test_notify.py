"""What the service manager hears, and that the shipped unit is one that it takes."""

from __future__ import annotations

import configparser
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from fogbank.server import notify
from fogbank.server.children import START_S_MAX
from fogbank.server.notify import say

UNIT = Path(__file__).parents[3] / "docs" / "operating" / "fogbank.service"
TAKEN_AWAY = (
    "PrivateUsers",
    "RestrictNamespaces",
    "ProtectKernelTunables",
    "ProtectControlGroups",
    "NoNewPrivileges",
    "PrivateMounts",
    "SystemCallFilter",
    "ProtectKernelLogs",
    "ProtectHostname",
    "ProtectProc",
    "ProcSubset",
)
"""What would take away what sandboxes are made of."""


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_hears_a_state(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@{tmp_path.name}-fogbank" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if is_abstract else name)
        assert say("READY=1", {"NOTIFY_SOCKET": name})
        assert manager.recv(64) == b"READY=1"


def test_without_a_service_manager_nobody_is_told(tmp_path: Path) -> None:
    assert not say("READY=1", {})
    assert not say("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_a_service_manager_that_does_not_read_does_not_hold_us_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "WAIT_S", 0.01)
    variables = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(variables["NOTIFY_SOCKET"])
        taken = 0
        while say("WATCHDOG=1", variables):
            taken += 1
        assert manager.recv(64) == b"WATCHDOG=1"
        assert say("STOPPING=1", variables)
        said = [manager.recv(64) for _ in range(taken)]
        assert said[-1] == b"STOPPING=1"


def unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=True, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(UNIT.read_text())
    return parsed


def test_the_unit_waits_for_our_word_and_leaves_sandboxes_their_means() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["Delegate"] == "yes"
    assert service["KillMode"] == "mixed"
    assert [name for name in TAKEN_AWAY if name in service] == []
    assert service["ProtectSystem"] == "strict"
    # A StateDirectory would be handed to root at each start.
    assert service["ReadWritePaths"] == "/var/lib/fogbank"
    assert "StateDirectory" not in service


def test_the_unit_takes_away_what_no_part_of_us_needs() -> None:
    service = unit()["Service"]
    assert service["LimitCORE"] == "0"
    assert service["UMask"] == "0077"
    for name in (
        "ProtectHome",
        "PrivateTmp",
        "ProtectKernelModules",
        "RestrictRealtime",
        "LockPersonality",
    ):
        assert service[name] == "yes", name
    families = set(service["RestrictAddressFamilies"].split())
    assert families == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}


def test_the_unit_has_a_server_that_hangs_ended_and_started_again() -> None:
    service = unit()["Service"]
    assert int(service["WatchdogSec"]) > int(service["TimeoutStopSec"])  # a drain is no hang
    assert float(service["TimeoutStartSec"]) == START_S_MAX
    assert service["Restart"] == "on-failure"


@pytest.mark.slow
def test_systemd_takes_the_unit_where_it_is_there_to_ask(tmp_path: Path) -> None:
    assert set(unit()) == {"DEFAULT", "Unit", "Service", "Install"}
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    there = UNIT.read_text().replace("/opt/fogbank/bin/fogbank", shutil.which("true") or "")
    copy = tmp_path / "fogbank.service"
    copy.write_text(there)
    done = subprocess.run(
        [analyze, "verify", str(copy)], capture_output=True, text=True, check=False
    )
    about_ours = [line for line in done.stderr.splitlines() if "fogbank.service" in line]
    assert about_ours == []
