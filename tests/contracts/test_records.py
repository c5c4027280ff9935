"""Every version of every durable record decodes from its golden bytes; every legal key fits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.contracts.samples import sample

from fogbank.platform.blobs.chunks import ChunkBody, ChunkCount
from fogbank.platform.bus.subscriptions import Subscription
from fogbank.platform.store.lease import LeaseRecord
from fogbank.platform.store.records import Record, RecordDecoder, Table, encode
from fogbank.server.app import App
from fogbank.server.roster import services

GOLDEN = Path(__file__).parents[1] / "golden" / "records"
TABLES = [(service.model, table) for service in services() for table in service.tables]


def tag_of(record: type[Record]) -> str:
    return str(record.__struct_config__.tag)


def durable(record: type[Record]) -> list[type[Record]]:
    """Return every record type below one that the server can write: services' and platform's."""
    below = [found for each in record.__subclasses__() for found in [each, *durable(each)]]
    return [each for each in below if each.__module__.startswith("fogbank.")]


RECORDS = sorted(durable(Record), key=tag_of)


def golden_path(record: type[Record]) -> Path:
    return GOLDEN / (tag_of(record).replace("/", ".") + ".msgpack")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: tag_of(record))
def test_a_record_decodes_from_its_golden_bytes(
    record: type[Record], request: pytest.FixtureRequest
) -> None:
    path = golden_path(record)
    if request.config.getoption("--rewrite"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(sample(msgspec.inspect.type_info(record))))
    decoded = RecordDecoder(record).decode(path.read_bytes())
    assert encode(decoded) == path.read_bytes()


def test_rewriting_the_golden_files_changes_nothing() -> None:
    written = {
        golden_path(each): encode(sample(msgspec.inspect.type_info(each))) for each in RECORDS
    }
    assert {path.name for path, raw in written.items() if path.read_bytes() != raw} == set()


def test_every_golden_file_belongs_to_a_record_or_to_an_older_version_of_one() -> None:
    known = set()
    for record in RECORDS:
        version: type[Record] | None = record
        while version is not None:
            known.add(golden_path(version).name)
            version = version.PREVIOUS
    assert {path.name for path in GOLDEN.glob("*.msgpack")} <= known


def test_every_record_of_a_running_server_is_known_here() -> None:
    assert App.__module__ == "fogbank.server.app"  # imported, and with it every platform room
    others = {LeaseRecord, Subscription, ChunkBody, ChunkCount}
    assert {table.record for _, table in TABLES} | others <= set(RECORDS)


def test_tags_name_service_noun_and_version() -> None:
    for service, table in TABLES:
        owner, _, version = tag_of(table.record).partition("/")
        assert owner.split(".")[0] in {service, "platform", "iam"}, tag_of(table.record)
        assert version.isdigit()


def test_no_two_tables_share_a_prefix() -> None:
    prefixes = [table.subspace for _, table in TABLES if isinstance(table, Table)]
    assert len(prefixes) == len(set(prefixes))
