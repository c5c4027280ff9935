"""The work of an export: writes the files of a bucket one by one, then the manifests.

Rule: a file is written under a name that follows from the export and its number, then counted: an
attempt that a crash cuts short writes it again with the same content, for the table is read as of a
moment. Files are told of by the manifests only, and these are written last.

Theory: in memory there is one file, compressed, and the items of one read. A file ends where its
lines have so many bytes (``dynamodb.export_file_bytes_max``).
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from fogbank.contract.action import Scope
from fogbank.contract.call import Facilities
from fogbank.contract.job import Verdict
from fogbank.platform.blobs.port import BlobPlacement, BlobReader
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Domain, Store, Transaction
from fogbank.services.dynamodb import quotas
from fogbank.services.dynamodb.rules import exports as rules
from fogbank.services.dynamodb.rules import outputs
from fogbank.services.dynamodb.rules.transfers import TransferName
from fogbank.services.dynamodb.schema import COMPLETED, FAILED, ItemRecord, TableRecord
from fogbank.services.dynamodb.schema.exports import IN_PROGRESS, ExportFileRecord, ExportRecord
from fogbank.services.dynamodb.state import bodies, encryption, exports, groups
from fogbank.services.dynamodb.state.asking import Asker, Refused
from fogbank.services.dynamodb.state.exports import Line
from fogbank.services.dynamodb.state.outputs import Outputs, PackedFile

LINES_PER_READ: Final = 16
"""Up to three records of 480 KiB are read for each."""
FILES_PER_READ: Final = 500
FORGOTTEN_PER_STEP: Final = 200


async def attempt(entry: WorkEntry, facilities: Facilities) -> Verdict:
    """Write what is left to write of an export.

    Raises:
        Weather: It has to be tried again.
    """
    store = facilities.holding(Domain(*entry.domain))
    name = TransferName(entry.payload.decode(), entry.id)
    record = await store.read(lambda tr: exports.find(tr, name))
    if record is not None and record.status == IN_PROGRESS:
        exported = rules.table_of(record)
        domain = Domain(*entry.domain)
        table = await encryption.opened_by(facilities.open_key, domain, exported)
        work = _Work(facilities, entry, record, table)
        try:
            await work.go_on()
        except Refused as refused:
            await work.end(FAILED, refused.code, refused.message)
    while True:
        forgotten = await store.transact(
            lambda tr: exports.forget_files(tr, entry.id, FORGOTTEN_PER_STEP)
        )
        if forgotten < FORGOTTEN_PER_STEP:
            return Verdict()


class _Work:
    """One attempt at an export.

    Args:
        facilities: What it may touch.
        entry: Its entry of the work list.
        record: The export, which is kept here as it was last written.
        table: Its table, opened.
    """

    def __init__(
        self, facilities: Facilities, entry: WorkEntry, record: ExportRecord, table: TableRecord
    ) -> None:
        self._facilities = facilities
        domain = Domain(*entry.domain)
        self._store = facilities.holding(domain)
        self._source: Store = self._store
        self._blobs: BlobReader = facilities.blobs
        if record.home:
            home, placement = groups.domain_in(domain, record.home), facilities.placement
            assert isinstance(placement, BlobPlacement), "who places domains places their blobs"
            self._source, self._blobs = placement.store_of(home), placement.blobs_of(home)
        self._scope = Scope(entry.domain[1], entry.domain[2])
        self._record = record
        self._writer = rules.Writer(record, table)
        asker = Asker(facilities, record.principal, record.region)
        self._outputs = Outputs(asker, outputs.put_members(rules.request_of(record)))

    async def go_on(self) -> None:
        """Write the files that are missing and the manifests, and end.

        Raises:
            Refused: The bucket does not take them.
        """
        if not self._record.progress.files:
            await self._outputs.put(f"{rules.folder_of(self._record)}_started", b"")
        while not self._record.progress.is_read:
            await self._write_file()
        folder = rules.folder_of(self._record)
        await self._outputs.put_manifest(folder, "manifest-files", await self._files_manifest())
        ended_ms = self._facilities.clock.now_ms()
        summary = rules.summary_manifest(self._scope, self._record, ended_ms)
        await self._outputs.put_manifest(folder, "manifest-summary", summary)
        await self.end(COMPLETED)

    async def end(self, status: str, code: str = "", message: str = "") -> None:
        """End the export."""
        before, timers = self._record, self._facilities.timers
        after = msgspec.structs.replace(
            before,
            status=status,
            ended_ms=self._facilities.clock.now_ms(),
            failure_code=code,
            failure_message=message,
        )
        await self._store.transact(lambda tr: exports.end(tr, before, after, timers))

    # Files.

    async def _write_file(self) -> None:
        """Write the next file, and count it."""
        before = self._record
        file = _File(self._writer)
        bytes_max = self._facilities.quotas.value(quotas.EXPORT_FILE_BYTES)
        place: bytes | None = before.progress.next_place
        while place is not None and file.packed.lines_bytes < bytes_max:
            lines, place = await self._read(place)
            await file.add(lines)
        content = file.packed.finish()
        key = rules.file_key(before)
        told = ExportFileRecord(
            key=key,
            items=file.packed.lines,
            md5=outputs.md5_of(content),
            etag=await self._outputs.put(key, content),
        )
        progress = msgspec.structs.replace(
            before.progress,
            next_place=place or b"",
            is_read=place is None,
            files=before.progress.files + 1,
            items=before.progress.items + file.packed.lines,
            size=before.progress.size + file.size,
        )
        after = msgspec.structs.replace(before, progress=progress)
        await self._store.transact(lambda tr: exports.add_file(tr, before, after, told))
        self._record = after

    async def _read(self, place: bytes) -> tuple[list[Line], bytes | None]:
        """Return the next lines, and where those behind begin."""
        record = self._record

        async def body(tr: Transaction) -> tuple[list[Line], bytes | None]:
            return await exports.list_lines(tr, record, place, LINES_PER_READ)

        lines, rest = await self._source.read(body)
        return [await self._opened(line) for line in lines], rest

    async def _opened(self, line: Line) -> Line:
        """Return a line with what lies in blobs."""
        return msgspec.structs.replace(
            line, before=await self._whole(line.before), after=await self._whole(line.after)
        )

    async def _whole(self, record: ItemRecord | None) -> ItemRecord | None:
        """Return the record of an item with its attributes."""
        if record is None or bodies.is_open(record):
            return record
        found = await bodies.fetched_row(self._blobs, record)
        assert isinstance(found, ItemRecord)
        return found

    # Manifests.

    async def _files_manifest(self) -> bytes:
        """Return the manifest of all files, some hundred bytes for each."""
        record, parts = self._record, list[bytes]()
        for first in range(0, record.progress.files, FILES_PER_READ):
            after = first - 1 if first else None

            async def body(tr: Transaction, after: int | None = after) -> list[ExportFileRecord]:
                return await exports.list_files(tr, record, after, FILES_PER_READ)

            parts.append(outputs.files_manifest(await self._store.read(body)))
        return b"".join(parts)


class _File:
    """A file that is written in memory."""

    def __init__(self, writer: rules.Writer) -> None:
        self._writer = writer
        self.packed = PackedFile()
        self.size = 0
        """What the sizes of its items add up to, in bytes."""

    async def add(self, lines: list[Line]) -> None:
        """Write some lines, beside the loop if they are long."""
        size = sum(each.size for line in lines for each in (line.before, line.after) if each)
        if size > quotas.STEP_BYTES:
            await asyncio.to_thread(self._add, lines)
        else:
            self._add(lines)
            await asyncio.sleep(0)  # noqa: TID251 (lets requests go first; no time passes)
        self.size += size

    def _add(self, lines: list[Line]) -> None:
        """Write some lines."""
        for line in lines:
            if line.at_ms:
                text = self._writer.change_line(line.before, line.after, line.at_ms)
            else:
                assert line.after is not None, "a full export is of what is there"
                text = self._writer.item_line(line.after)
            if text:
                self.packed.add(text)
