"""Virtual time for botocore's signers: each client signs by the clock of its own cloud.

Rule: a client without a cloud signs by the machine's clock, whatever clouds are open beside it.
botocore reads the time once for each signature, in the thread that signs: a handler on
``before-sign`` says by whose clock, and the read forgets it.
"""

# botocore has no types:
# pyright: basic

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import botocore.auth
import botocore.crt.auth

from fogbank.base.clock import Clock


class _Signers:
    """The double of botocore's clock, in place while any cloud is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._doubles = ExitStack()
        self._real: Callable[..., datetime] = botocore.auth.get_current_datetime
        self._signing = threading.local()

    def open(self) -> None:
        """Put the double in place."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                for module in (botocore.auth, botocore.crt.auth):
                    double = mock.patch.object(module, "get_current_datetime", self._now)
                    self._doubles.enter_context(double)

    def close(self) -> None:
        """Take the double back, with the last cloud."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._doubles.close()

    def sign_by(self, clock: Clock) -> None:
        """Let the next signature of this thread be made by a clock."""
        self._signing.clock = clock

    def forget(self) -> None:
        """Let the next signature of this thread be made by the machine's clock again."""
        self._signing.__dict__.pop("clock", None)

    def _now(self, *, remove_tzinfo: bool = True) -> datetime:
        """Return the time to sign at, once."""
        clock: Clock | None = self._signing.__dict__.pop("clock", None)
        if clock is None:
            return self._real(remove_tzinfo=remove_tzinfo)
        now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        return now.replace(tzinfo=None) if remove_tzinfo else now


_signers = _Signers()


def open_signers() -> None:
    """Let clients that ``adopt`` was given sign by their own clocks, until ``close_signers``."""
    _signers.open()


def close_signers() -> None:
    """End what ``open_signers`` began."""
    _signers.close()


def sign_by(client: Any, clock: Clock) -> None:
    """Let a boto3 client sign by a clock."""
    client.meta.events.register("before-sign", lambda **_: _signers.sign_by(clock))


@contextmanager
def signing_by(clock: Clock) -> Iterator[None]:
    """Let the signature that this thread makes meanwhile be made by a clock."""
    _signers.sign_by(clock)
    try:
        yield
    finally:
        _signers.forget()
