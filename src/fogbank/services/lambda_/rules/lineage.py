"""Trace headers: which request an invocation belongs to, and how often it came by each function.

A header that comes with a request is passed on, and in the lineage the function counts itself. An SDK in a function sends the header of its invocation with every
request, so that a loop of functions is seen, however they invoke each other.

Source: X-Ray Developer Guide, "Tracing header"; Lambda Developer Guide, "Use Lambda recursive loop
detection to prevent infinite loops".
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Final

from fogbank.services.lambda_.errors import RecursiveInvocationException
from fogbank.services.lambda_.rules import invocations

_STEP: Final = re.compile(r"([0-9a-f]{8}):(\d{1,4})", re.ASCII)
_STEPS_MAX: Final = 32
"""So many functions of a lineage are remembered; the oldest are forgotten first."""
_LENGTH_MAX: Final = 2_048


def _fields_of(header: str) -> dict[str, str]:
    """Return the fields of a header; of one that is none, nothing."""
    parts = (part.strip().partition("=") for part in header[:_LENGTH_MAX].split(";"))
    return {name: value for name, mark, value in parts if mark}


def _steps_of(lineage: str) -> dict[str, int]:
    """Return how often each function stands in a lineage."""
    steps = (_STEP.fullmatch(step) for step in lineage.split("|"))
    return {step[1]: int(step[2]) for step in steps if step}


def step_of(function_arn: str) -> str:
    """Return by what a function stands in a lineage."""
    return f"{zlib.crc32(function_arn.encode()):08x}"


def passed_on(
    header: str,
    function_arn: str,
    now_ms: int,
    entropy: bytes,
    sample: Callable[[], bool] | None = None,
) -> str:
    """Return the header of an invocation.

    Args:
        header: What came with the request; empty: nothing.
        function_arn: The function, without a version.
        now_ms: The time.
        entropy: Twenty random bytes.
        sample: As ``trace_id_of`` takes it.
    """
    steps = _steps_of(_fields_of(header).get("Lineage", ""))
    name = step_of(function_arn)
    count = steps.pop(name, 0) + 1
    kept = [*list(steps.items())[1 - _STEPS_MAX :], (name, count)]
    lineage = "|".join(f"{step}:{times}" for step, times in kept)
    return f"{invocations.trace_id_of(now_ms, entropy, header, sample)};Lineage={lineage}"


def is_loop(header: str, function_arn: str, times_max: int) -> bool:
    """Return whether a request has come by a function so often that it is stopped."""
    lineage = _fields_of(header).get("Lineage", "")
    return _steps_of(lineage).get(step_of(function_arn), 0) >= times_max


def stopped() -> RecursiveInvocationException:
    """Return the error that a loop is stopped (words of the API Reference)."""
    return RecursiveInvocationException(
        "Lambda has detected your function being invoked in a recursive loop with other AWS "
        "resources and stopped your function's invocation."
    )
