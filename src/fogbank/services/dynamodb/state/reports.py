"""Writes the reports of bulk puts: files of what was not written, then manifests that tell of them.

Theory: lines are rows until a file has them (``bulks``); a file of one type takes them in order, as many
as it holds, so that one that a crash cuts short is written again under its name, perhaps with more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from fogbank.contract.action import Scope
from fogbank.contract.call import Facilities
from fogbank.platform.store.engine import Store, Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules import bulks as rules
from fogbank.services.dynamodb.rules import outputs
from fogbank.services.dynamodb.schema import ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.bulks import BulkRecord
from fogbank.services.dynamodb.schema.exports import ExportFileRecord
from fogbank.services.dynamodb.state import bodies, bulks
from fogbank.services.dynamodb.state.bulks import Line
from fogbank.services.dynamodb.state.outputs import Outputs, PackedFile

LINES_PER_READ: Final = 16
"""Up to two records of 480 KiB are read for each."""
FILES_PER_READ: Final = 500
FORGOTTEN_PER_STEP: Final = 50


class Reports:
    """What writes the reports of one bulk put.

    Args:
        facilities: With the blobs, the clock and the settings.
        store: Where it is kept.
        files: Where they are written.
        scope: Of who asked.
    """

    def __init__(self, facilities: Facilities, store: Store, files: Outputs, scope: Scope) -> None:
        self._facilities = facilities
        self._store = store
        self._outputs = files
        self._scope = scope

    async def write_file(self, before: BulkRecord, kind: int) -> BulkRecord:
        """Write the next file of one type; return the bulk put behind it.

        Raises:
            Refused: The bucket does not take it.
        """
        output = before.outputs[kind]
        bytes_max = self._facilities.quotas.value(quotas.EXPORT_FILE_BYTES)
        packed, told, size = PackedFile(), output.told, output.size
        table = await self._store.read(lambda tr: bulks.table_for(tr, before))
        while told < output.lines and packed.lines_bytes < bytes_max:
            found = await self._lines(before, kind, told)
            await self._pack(table, before, packed, found)
            told += len(found)
            size -= _size_of(found)
        content = packed.finish()
        key = rules.file_key(before, kind)
        file = ExportFileRecord(
            key=key,
            items=packed.lines,
            md5=outputs.md5_of(content),
            etag=await self._outputs.put(key, content),
        )
        after = msgspec.structs.replace(output, told=told, files=output.files + 1, size=size)
        changed = await self._store.transact(
            lambda tr: bulks.add_file(tr, before, kind, after, file)
        )
        await self._forget_lines(changed)
        return changed

    async def put_manifests(self, record: BulkRecord) -> None:
        """Write the manifests of a bulk put that is over.

        Raises:
            Refused: The bucket does not take them.
        """
        folder, now_ms = rules.folder_of(record), self._facilities.clock.now_ms()
        summary = rules.summary_manifest(self._scope, record, now_ms)
        await self._outputs.put_manifest(folder, "manifest-files", await self._manifest(record))
        await self._outputs.put_manifest(folder, "manifest-summary", summary)

    async def forget(self, record: BulkRecord) -> None:
        """Remove everything that is kept for reports that are written, or given up."""
        assert record.is_told, "until then they have something to tell"
        await self._forget_lines(record)
        while await self._store.transact(
            lambda tr: bulks.forget_files(tr, record, FORGOTTEN_PER_STEP)
        ):
            pass

    async def _forget_lines(self, record: BulkRecord) -> None:
        """Remove the lines that nobody is to tell of any more."""
        while await self._store.transact(
            lambda tr: bulks.forget_lines(tr, record, FORGOTTEN_PER_STEP)
        ):
            pass

    async def _lines(self, record: BulkRecord, kind: int, first: int) -> list[Line]:
        """Return the next lines of one type, with what lies in blobs."""
        found = await self._store.read(
            lambda tr: bulks.list_lines(tr, record, kind, first, LINES_PER_READ)
        )
        assert found, "lines are kept until a file has them"
        return [
            Line(each.record, await self._whole(each.attempted), await self._whole(each.existing))
            for each in found
        ]

    async def _whole(self, record: ItemRecord | None) -> ItemRecord | None:
        """Return the record of an item with its attributes."""
        if record is None or bodies.is_open(record):
            return record
        return await bodies.fetched_item(self._facilities.blobs, record)

    async def _pack(
        self, table: TableRecord, record: BulkRecord, packed: PackedFile, lines: list[Line]
    ) -> None:
        """Write some lines into a file, beside the loop if they are long."""

        def pack() -> None:
            for each in lines:
                packed.add(rules.line_of(table, record, each.record, each.attempted, each.existing))

        if _size_of(lines) > quotas.STEP_BYTES:
            await asyncio.to_thread(pack)
        else:
            pack()
            await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)

    async def _manifest(self, record: BulkRecord) -> bytes:
        """Return the manifest of all files, some hundred bytes for each."""
        parts: list[bytes] = []
        for kind, output in enumerate(record.outputs):
            for first in range(0, output.files, FILES_PER_READ):

                async def body(
                    tr: Transaction, kind: int = kind, first: int = first
                ) -> list[ExportFileRecord]:
                    return await bulks.list_files(tr, record, kind, first, FILES_PER_READ)

                parts.append(outputs.files_manifest(await self._store.read(body)))
        return b"".join(parts)


def _size_of(lines: Sequence[Line]) -> int:
    """Return what some lines were counted with."""
    return sum(rules.kept_size(each.record, each.attempted, each.existing) for each in lines)
