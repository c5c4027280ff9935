"""What the supervisor does before there is a server."""

from __future__ import annotations

import selectors
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fogbank.platform.crypto.secret import Secret
from fogbank.server import children, supervisor
from fogbank.server.children import RESTARTS_MAX, RESTARTS_WINDOW_S, Child
from fogbank.server.config import Config, ProcessSettings
from fogbank.server.privilege import Drop
from fogbank.server.told import Boot


def clock(monkeypatch: pytest.MonkeyPatch, on_sleep: Callable[[], None]) -> list[float]:
    """Let the supervisor's time pass only as it sleeps; return how long it slept each time."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        on_sleep()

    time = SimpleNamespace(monotonic=lambda: sum(slept), sleep=sleep)
    monkeypatch.setattr(supervisor, "time", time)
    return slept


@pytest.fixture
def holder() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_a_port_that_a_dying_server_frees_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, holder: socket.socket
) -> None:
    port = holder.getsockname()[1]
    slept = clock(monkeypatch, holder.close)
    with supervisor.bind("127.0.0.1", port) as listener:
        assert listener.getsockname()[1] == port
    assert len(slept) == 1


def test_a_port_that_stays_taken_is_an_error_after_two_seconds(
    monkeypatch: pytest.MonkeyPatch, holder: socket.socket
) -> None:
    port = holder.getsockname()[1]
    slept = clock(monkeypatch, lambda: None)
    with holder, pytest.raises(supervisor.StartError, match=f"cannot listen on .* port {port}"):
        supervisor.bind("127.0.0.1", port)
    assert sum(slept) == pytest.approx(2.0, abs=0.1)


def test_a_process_that_keeps_dying_is_not_started_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(children, "time", SimpleNamespace(monotonic=lambda: now[0]))
    child = Child("fogbank.server.process", "store", Drop(None, ""), None)
    for _ in range(RESTARTS_MAX):
        assert child.may_start_again()
        now[0] += 1
    assert not child.may_start_again()
    now[0] += RESTARTS_WINDOW_S
    assert child.may_start_again()


def test_what_a_store_process_says_will_seal_its_keys_is_told_to_those_that_start_later(
    tmp_path: Path,
) -> None:
    old, new = Secret("file", bytes(32)), Secret("passphrase", b"correct horse battery")
    config = Config(processes=ProcessSettings(fronts=1))
    told = supervisor.Supervisor(tmp_path, config, print)
    told._secrets = [old]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = told._stores[0]
    child._life = ours.fileno()
    with ours, theirs, selectors.DefaultSelector() as selector:
        Boot(
            data_dir="",
            config=config,
            listener=-1,
            ready=-1,
            life=theirs.fileno(),
            endpoint="",
        ).tell_secret(new)
        child.register(selector)
        ((key, _events),) = selector.select(0)
        key.data()
        started: list[Boot] = []

        def start(make: Any, _trusted: str) -> None:
            started.append(make(1, 2, 3))

        for each in (child, told._fronts[0]):
            each.start = start  # type: ignore[method-assign]
            told._start(each, ours)
    assert [boot.secrets for boot in started] == [[new, old], []]


@pytest.mark.parametrize(
    ("is_ready", "ended", "status"),
    [
        (True, 0, 0),
        (True, -signal.SIGTERM, 1),
        (False, -signal.SIGTERM, 0),
        (False, -signal.SIGKILL, 1),
        (True, 1, 1),
    ],
)
def test_a_stop_goes_well_unless_a_child_that_served_did_not_end_in_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], is_ready: bool, ended: int, status: int
) -> None:
    told = supervisor.Supervisor(tmp_path, Config(processes=ProcessSettings(fronts=1)), print)
    stopped: list[str] = []
    for child in (*told._fronts, *told._stores):
        child.stop = partial(stopped.append, child.name)  # type: ignore[method-assign]
        child.wait = lambda _timeout: 0  # type: ignore[method-assign]
        child.is_ready = True
    front = told._fronts[0]
    front.is_ready = is_ready
    front.wait = lambda _timeout: ended  # type: ignore[method-assign]
    assert told._stop() == status
    assert stopped == [front.name, told._stores[0].name]
    assert (f"front 0 ended ({ended})" in capfd.readouterr().err) == bool(status)
