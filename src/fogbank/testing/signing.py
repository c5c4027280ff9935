"""Virtual time for botocore's signers: each client signs by the clock of its own cloud.

Rule: a client without a cloud signs by the machine's clock, whatever clouds are open beside it and
whoever signed before it in its thread: that a client has a clock of its own holds for as long as it
signs, whether the signer reads the time once, several times, or not at all.
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

    @contextmanager
    def signing_by(self, clock: Clock) -> Iterator[None]:
        """Let what this thread signs meanwhile be signed by a clock."""
        before: Clock | None = getattr(self._signing, "clock", None)
        self._signing.clock = clock
        try:
            yield
        finally:
            self._signing.clock = before

    def _now(self, *, remove_tzinfo: bool = True) -> datetime:
        """Return the time to sign at."""
        clock: Clock | None = getattr(self._signing, "clock", None)
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
    """Let a boto3 client sign by a clock, requests and URLs."""
    signer = client._request_signer  # noqa: SLF001 (there is no event behind a signature)
    sign = signer.sign

    def signed(*given: Any, **named: Any) -> None:
        with _signers.signing_by(clock):
            sign(*given, **named)

    signer.sign = signed


@contextmanager
def signing_by(clock: Clock) -> Iterator[None]:
    """Let the signatures that this thread makes meanwhile be made by a clock."""
    with _signers.signing_by(clock):
        yield
