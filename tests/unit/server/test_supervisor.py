"""What the supervisor does before there is a server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from fogbank.server import children, supervisor
from fogbank.server.children import RESTARTS_MAX, RESTARTS_WINDOW_S, Child
from fogbank.server.privilege import Drop


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
