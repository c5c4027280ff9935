"""An invocation in an environment that has started: from its START line to its REPORT."""

from __future__ import annotations

from fogbank.base.clock import Clock
from fogbank.platform.metering.report import Report, Traced, billed_ms_of, find_traced
from fogbank.platform.metering.system_log import SystemLog
from fogbank.platform.runtime import endings
from fogbank.platform.runtime.endings import End
from fogbank.platform.runtime.functions import Invocation, Run, Target
from fogbank.platform.runtime.pool import Environment
from fogbank.platform.runtime.port import Ending, InitReport, Outcome, Sandbox


async def serve(
    environment: Environment,
    sandbox: Sandbox,
    invocation: Invocation,
    init: InitReport | None,
    clock: Clock,
) -> Run:
    """Run an invocation between its START and its REPORT line.

    Args:
        environment: What runs it.
        sandbox: Its sandbox.
        invocation: The event.
        init: How its start went, if this invocation has caused it.
        clock: The time.
    """
    target, journal, told = environment.target, environment.journal, environment.system_log
    assert journal is not None, "a started environment has a journal"
    assert told is not None, "and someone who writes into it"
    request_id, traced = invocation.request_id, traced_of(target, invocation)
    if init is None:
        journal.begin()
    if init is not None and init.error is not None:
        environment.broken = True
        # AWS: starts once more within the invocation and reports that as its duration.
        outcome = Outcome(Ending.RAISED, b"", init.duration_ms, 0)
        end = endings.end_of_init(init, request_id)
        told.init_end(init.duration_ms, end.status, end.error_type)
        tell_extensions(told, init)
        told.start(request_id, traced)
        init = None
    else:
        if init is not None:
            told.init_end(init.duration_ms)
            tell_extensions(told, init)
        told.start(request_id, traced)
        deadline_ms = clock.now_ms() + target.timeout_ms
        payload, context, chunks = invocation.payload, invocation.context, invocation.chunks
        outcome = await sandbox.invoke(request_id, payload, deadline_ms, context, chunks)
        end = endings.end_of(outcome, request_id, target.timeout_ms)
    report = report_of(target, request_id, outcome, init, end)._replace(traced=traced)
    cut_off = outcome.ending is Ending.TIMED_OUT
    told.end(report, end.line, target.timeout_ms if cut_off else 0)
    return Run(end.payload, end.failed, report, journal.tail())


def tell_extensions(told: SystemLog, init: InitReport) -> None:
    """Tell how the start of each extension went."""
    for each in init.extensions:
        told.extension(*each)


def traced_of(target: Target, invocation: Invocation) -> Traced | None:
    """Return what is told of the trace of an invocation; None: its function has none made."""
    return find_traced(invocation.context["trace_id"]) if target.traced else None


def report_of(
    target: Target, request_id: str, outcome: Outcome, init: InitReport | None, end: End
) -> Report:
    """Return what the REPORT line says of an invocation."""
    duration_ms = outcome.duration_ms
    if outcome.ending is Ending.TIMED_OUT:
        duration_ms = min(duration_ms, float(target.timeout_ms))
    init_ms = None if init is None else init.duration_ms
    return Report(
        request_id=request_id,
        duration_ms=duration_ms,
        billed_ms=billed_ms_of(duration_ms, init_ms),
        memory_mb=target.memory_mb,
        max_memory_mb=min(outcome.max_memory_mb, target.memory_mb),
        init_ms=init_ms,
        status=end.status,
        error_type=end.error_type,
    )
