"""The doubles of standard streams, under which handlers of functions run in threads."""

from __future__ import annotations

import gc
import io
import sys
import weakref

from fogbank.testing.runtime import _doubles


def test_a_stream_that_a_handler_prints_to_lives_though_another_takes_its_place() -> None:
    """``print`` of CPython 3.11 borrows it: pytest replaced it under a handler and it crashed."""
    before = sys.stdout
    with _doubles:
        printed_to = weakref.ref(sys.stdout)
        sys.stdout = io.StringIO()
        gc.collect()
        assert printed_to() is not None
    assert sys.stdout is before
