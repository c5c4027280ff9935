"""Work that a transaction leaves to be done, in the work list that ``jobs.py`` runs.

Rule: a task is written in the transaction that makes it necessary, and doing it twice does no more
than doing it once.
"""

from __future__ import annotations

from typing import Final

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import RecordDecoder, encode
from fogbank.services.s3.schema import TaskRecord

TASKS: Final = "s3.tasks"
WORKFLOW_GRACE_MS: Final = 10_000
"""How long the request itself has to finish what it began before the work list does it."""
READ_GRACE_MS: Final = 15 * 60_000
"""How long the parts of a removed object can still be read by who is reading it."""
_decode = RecordDecoder(TaskRecord).decode


def put_task(tr: Transaction, task: TaskRecord, *, now_ms: int, delay_ms: int = 0) -> None:
    """Leave a task, to be done after a delay."""
    worklist.put(
        tr,
        WorkEntry(
            list=TASKS,
            id=f"{task.kind}/{task.bucket_id.hex()}/{task.upload_id}",
            domain=tr.domain.name,
            payload=encode(task),
            created_ms=now_ms,
            visible_ms=now_ms + delay_ms,
        ),
    )


def task_of(entry: WorkEntry) -> TaskRecord:
    """Return the task of an entry."""
    return _decode(entry.payload)
