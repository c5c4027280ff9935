from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fogbank.base.errors import Corrupt
from fogbank.services.lambda_.errors import ResourceConflictException
from fogbank.services.lambda_.rules import filters, sealing
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FunctionRecord, MappingRecord

NAMED = FunctionName("111122223333", "us-east-1", "f", "")
FUNCTION = FunctionRecord(
    name="f",
    revision="r",
    deployment="d",
    runtime="python3.11",
    handler="app.handler",
    role="arn:aws:iam::111122223333:role/r",
    code_sha256="",
    code_size=0,
    blob_incarnation=1,
    blob_number=1,
    architecture="x86_64",
    modified_ms=0,
    kms_key="arn:aws:kms:us-east-1:111122223333:key/k",
    sealed=b"sealed",
    grant="g",
)
MAPPING = MappingRecord(
    id="m",
    function="f",
    qualifier="",
    source_arn="arn",
    enabled=True,
    modified_ms=0,
    position="TRIM_HORIZON",
    batch_size=1,
    kms_key="arn:aws:kms:us-east-1:111122223333:key/k",
    lock=b"lock",
    sealed=b"sealed",
)


@pytest.mark.parametrize(
    "change", [{"kms_key": ""}, {"sealed": b"other"}, {"grant": "h"}, {"role": "other"}]
)
def test_what_was_sealed_from_a_function_is_not_written_over_another_sealing(change: Any) -> None:
    other = msgspec.structs.replace(FUNCTION, **change)
    for found, now in ((FUNCTION, other), (other, FUNCTION)):
        with pytest.raises(ResourceConflictException, match="An update is in progress"):
            sealing.require_same(NAMED, found, now)
    changed = msgspec.structs.replace(FUNCTION, description="other", revision="s")
    sealing.require_same(NAMED, FUNCTION, changed)
    plain = msgspec.structs.replace(FUNCTION, kms_key="", sealed=b"", grant="")
    sealing.require_same(NAMED, plain, msgspec.structs.replace(plain, variables={"a": "b"}))


@pytest.mark.parametrize("change", [{"lock": b"other"}, {"kms_key": ""}, {"function": "g"}])
def test_filters_that_were_sealed_meanwhile_are_not_written_over(change: Any) -> None:
    other = msgspec.structs.replace(MAPPING, **change)
    for found, now in ((MAPPING, other), (other, MAPPING)):
        with pytest.raises(ResourceConflictException):
            filters.require_same(found, now)
    filters.require_same(MAPPING, msgspec.structs.replace(MAPPING, batch_size=2))


def test_sealed_filters_are_those_of_their_mapping_alone() -> None:
    key = bytes(range(32))
    plain = msgspec.structs.replace(MAPPING, sealed=b"", filters=('{"a":[1]}', "{}"))
    kept = filters.sealed_mapping(plain, key)
    assert kept.filters == ()
    assert b'"a"' not in kept.sealed
    assert filters.filters_of(kept, key) == plain.filters
    for wrong in (
        msgspec.structs.replace(kept, id="n"),
        msgspec.structs.replace(kept, sealed=b"x"),
    ):
        with pytest.raises(Corrupt):
            filters.filters_of(wrong, key)
    with pytest.raises(Corrupt):
        filters.filters_of(kept, bytes(32))
