"""What is noted of invocations: the metrics of a function, and what is billed of its versions.

Rule: noted where an invocation begins, ends or is refused, whoever asked for it and whether or not
anybody still waits for its answer. What asks for provisioned environments notes nothing of itself.

Source: AWS Lambda Developer Guide, "Types of metrics for Lambda functions" (names, and what counts in
each) and "Viewing metrics" on the dimensions ``FunctionName``, ``Resource`` and ``ExecutedVersion``.
What is billed is kept under a namespace of our own, by version, for ``fogbank cost``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from fogbank.platform.metering.metrics import Board, Metrics, Series
from fogbank.platform.runtime.functions import Invocation, Run, Target
from fogbank.platform.store.engine import Domain

NAMESPACE: Final = "AWS/Lambda"
BILLED: Final = "Fogbank/Billing"
SERVICE: Final = "lambda"
BILLED_MS: Final = "BilledMilliseconds"
MEMORY: Final = "MegabyteMilliseconds"
STORAGE: Final = "StorageMegabyteMilliseconds"
DISTRIBUTED: Final = frozenset(
    {"Duration", "InitDuration", "AsyncEventAge", "IteratorAge", "UrlRequestLatency"}
)
"""Metrics of which percentiles are kept."""
FREE_TMP_MB: Final = 512
"""AWS Lambda pricing: as much ephemeral storage costs nothing."""
_REMEMBERED_MAX: Final = 4_096
_QUALIFIER: Final = re.compile(r"arn:[^:]+:lambda:[^:]*:[^:]*:function:[^:]+:(?P<qualifier>.+)")
_VERSION: Final = re.compile(r"\$LATEST|[0-9]+")
ACCOUNT: Final = Series(NAMESPACE)


class Running(NamedTuple):
    """How much runs when an invocation has begun, with it."""

    function: int
    """Invocations of the function."""
    account: int
    """Of the account in its region."""
    unreserved: int
    """Of those, what takes room that functions share."""
    provisioned: int
    """Provisioned environments of the version that stand; 0: none."""
    provisioned_busy: int
    spills: bool
    """Whether it runs beside them."""


@lru_cache(_REMEMBERED_MAX)
def function_series(name: str) -> Series:
    """Return the series of a function, whatever its version."""
    return Series(NAMESPACE, (("FunctionName", name),))


@lru_cache(_REMEMBERED_MAX)
def series_of(name: str, invoked_arn: str, version: str = "") -> tuple[Series, ...]:
    """Return the series that an invocation counts in, or an event that may become one.

    AWS: one without a qualifier is of the resource that is named as the function; an alias's are told
    by the version that ran, too.
    """
    found = _QUALIFIER.fullmatch(invoked_arn)
    qualifier = "" if found is None else found["qualifier"]
    of = (("FunctionName", name), ("Resource", f"{name}:{qualifier}" if qualifier else name))
    series = (function_series(name), Series(NAMESPACE, of), ACCOUNT)
    if not version or not qualifier or _VERSION.fullmatch(qualifier):
        return series
    executed = ("ExecutedVersion", version)
    return (*series, Series(NAMESPACE, (executed, *of)))


@lru_cache(_REMEMBERED_MAX)
def billed_series(name: str, version: str, architecture: str) -> Series:
    """Return where it is kept what is billed of a version."""
    of = (("Architecture", architecture), ("FunctionName", name), ("Version", version))
    return Series(BILLED, of)


@lru_cache(_REMEMBERED_MAX)
def domain_of(account: str, region: str) -> Domain:
    """Return the domain of the functions of an account in a region."""
    return Domain(SERVICE, account, region)


class Figures:
    """Notes what becomes of invocations.

    Args:
        architecture: The machine's instruction set, which has a price.
    """

    __slots__ = ("_architecture",)

    def __init__(self, architecture: str) -> None:
        self._architecture = architecture

    def throttled(self, metrics: Metrics, target: Target, invocation: Invocation) -> None:
        """Note that there was no room for an invocation."""
        _board(metrics, target, invocation).note("Throttles")

    def began(
        self, metrics: Metrics, target: Target, invocation: Invocation, running: Running
    ) -> None:
        """Note that an invocation has a place to run."""
        domain, name = domain_of(target.account, target.region), target.function_name
        metrics.board(domain, function_series(name)).note("ConcurrentExecutions", running.function)
        account = metrics.board(domain, ACCOUNT)
        account.note("ConcurrentExecutions", running.account)
        account.note("UnreservedConcurrentExecutions", running.unreserved)
        if not running.provisioned:
            return
        board = _board(metrics, target, invocation)
        if running.spills:
            board.note("ProvisionedConcurrencySpilloverInvocations")
            return
        board.note("ProvisionedConcurrencyInvocations")
        board.note("ProvisionedConcurrentExecutions", running.provisioned_busy)
        utilization = running.provisioned_busy / running.provisioned
        board.note("ProvisionedConcurrencyUtilization", utilization)

    def ended(
        self, metrics: Metrics, target: Target, invocation: Invocation, run: Run, began_ms: int
    ) -> None:
        """Note how an invocation went, and what is billed of it.

        AWS: an error is told of the time at which the function was invoked ("Types of metrics").
        """
        report, board = run.report, _board(metrics, target, invocation, began_ms)
        board.note("Invocations")
        board.note("Errors", float(run.failed))
        board.distribute("Duration", report.duration_ms)
        if report.init_ms is not None:
            board.distribute("InitDuration", report.init_ms)
        series = billed_series(target.function_name, target.version, self._architecture)
        billed = metrics.board(domain_of(target.account, target.region), series)
        billed.note(BILLED_MS, report.billed_ms)
        billed.note(MEMORY, report.billed_ms * report.memory_mb)
        if target.tmp_mb > FREE_TMP_MB:
            billed.note(STORAGE, report.billed_ms * (target.tmp_mb - FREE_TMP_MB))


def _board(metrics: Metrics, target: Target, invocation: Invocation, at_ms: int = 0) -> Board:
    """Return where an invocation is noted."""
    arn = invocation.context.get("invoked_function_arn", target.function_arn)
    series = series_of(target.function_name, arn, target.version)
    return metrics.board(domain_of(target.account, target.region), *series, at_ms=at_ms)


def note_event(metrics: Metrics, invoked_arn: str, name: str, value: float = 1.0) -> None:
    """Note a metric of an event that waits for its function, or of a request for it.

    Args:
        metrics: The metrics.
        invoked_arn: Of the function, with its qualifier if one was given.
        name: The metric's.
        value: What is noted.
    """
    _, _, _, region, account, _, function, *_ = invoked_arn.split(":")
    board = metrics.board(domain_of(account, region), *series_of(function, invoked_arn))
    board.distribute(name, value) if name in DISTRIBUTED else board.note(name, value)
