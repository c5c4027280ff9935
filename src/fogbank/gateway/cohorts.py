"""Requests that are in work together take their stages together.

Rule: between two stages a request gives way once if others are in work, and never while it holds
what must not wait: not inside of a transaction, not with a body that has been opened. What was
proved before it gave way is looked up again behind it: a revocation is in force at once.

Theory: a request runs through hundreds of functions, and a processor has the code and the data of
few at hand. Where each gives way between stages, one stage runs for all that are in work, one after
the other, with everything at hand (J. Larus and M. Parkes, "Using Cohort Scheduling to Enhance
Server Performance", USENIX 2002). A turn costs a step of the loop and saves several times as much
from ``COHORT_MIN`` requests on; for fewer it only costs (``docs/speed.md``).
"""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Final

COHORT_MIN: Final = 4
"""Requests in work, from which on they give way to each other."""


@types.coroutine
def give_way(is_due: bool) -> Generator[None, None, None]:  # noqa: FBT001 (it says all there is)
    """Return at once, or, if that is due, when whoever can go on now has made a step."""
    if is_due:
        yield
