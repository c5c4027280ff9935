"""What a sandbox without a user of its own leaves to the others of its user."""

from __future__ import annotations

import os
import threading

from fogbank.engines.sandbox.inside.build import tasks_of

MORE = 7
UNUSED = 4_000_000_123


def test_threads_of_a_user_are_counted() -> None:
    """getrlimit(2), RLIMIT_NPROC: "the number of extant process (or, more precisely on Linux, threads)"."""
    until = threading.Event()
    threads = [threading.Thread(target=until.wait) for _ in range(MORE)]
    own = len(os.listdir("/proc/self/task"))
    for thread in threads:
        thread.start()
    try:
        assert tasks_of(os.getuid()) >= own + MORE
        assert tasks_of(UNUSED) == 0
    finally:
        until.set()
        for thread in threads:
            thread.join()
