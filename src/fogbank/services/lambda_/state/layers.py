"""Layers, and what functions use of them.

A version lies under its layer's name and number; its zip file is a blob, to which the version refers and
every function and version of a function that uses it: it stays for as long as one of them does.
A layer of another account is borrowed: its bytes are copied once into the function's domain, and
the copy goes with the last function that uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from fogbank.contract.call import Call
from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_.rules import layers
from fogbank.services.lambda_.rules.layers import LayerName
from fogbank.services.lambda_.schema import (
    BORROWED,
    LAYER_POLICIES,
    LAYER_VERSIONS,
    LAYERS,
    BorrowedRecord,
    FunctionRecord,
    LayerPolicyRecord,
    LayerRecord,
    LayerUse,
    LayerVersionRecord,
)
from fogbank.services.lambda_.state import accounts

# Layers.


async def publish(
    tr: Transaction, name: str, version: LayerVersionRecord, code_bytes_max: int
) -> LayerVersionRecord:
    """Write a version under the next number of its layer, which is made if it is not there.

    Raises:
        CodeStorageExceededException: More code would be stored than may be.
    """
    await accounts.store_code(tr, version.code_size, code_bytes_max)
    layer = await LAYERS.find(tr, name) or LayerRecord()
    version = msgspec.structs.replace(version, number=layer.next_version)
    LAYERS.put(tr, LayerRecord(layer.next_version + 1), name)
    rows.attach(tr, version.blob, version.code_size)
    LAYER_VERSIONS.put(tr, version, name, version.number)
    return version


async def find_version(tr: Transaction, named: LayerName) -> LayerVersionRecord | None:
    """Return a version, or None."""
    return await LAYER_VERSIONS.find(tr, named.name, named.number)


async def require_version(tr: Transaction, named: LayerName) -> LayerVersionRecord:
    """Return a version, or refuse the call."""
    found = await find_version(tr, named)
    if found is None:
        raise layers.not_found()
    return found


async def list_layers(tr: Transaction, after: str, limit: int) -> list[str]:
    """Return up to ``limit`` names of layers behind one, in order; some may have no version left."""
    found = await LAYERS.list(tr, limit=limit, after=(after,) if after else None)
    return [str(name) for (name,), _ in found]


async def list_versions(
    tr: Transaction, name: str, before: int, limit: int
) -> list[LayerVersionRecord]:
    """Return up to ``limit`` versions of a layer, the newest first; before one, unless that is 0."""
    edge = (before,) if before else None
    found = await LAYER_VERSIONS.list(tr, name, limit=limit, after=edge, reverse=True)
    return [version for _, version in found]


async def delete_version(tr: Transaction, named: LayerName) -> None:
    """Remove a version and its policy; functions that use it keep its bytes. It may be gone."""
    version = await find_version(tr, named)
    if version is None:
        return
    await accounts.release_code(tr, version.code_size)
    await rows.release(tr, version.blob)
    LAYER_VERSIONS.delete(tr, named.name, named.number)
    LAYER_POLICIES.delete(tr, named.name, named.number)


# Policies.


async def find_policy(tr: Transaction, named: LayerName) -> LayerPolicyRecord | None:
    """Return the policy of a version, or None."""
    return await LAYER_POLICIES.find(tr, named.name, named.number)


async def policy_of(tr: Transaction, named: LayerName) -> LayerPolicyRecord | None:
    """Return the policy of a version that must be there, or None if it has none.

    Raises:
        ResourceNotFoundException: There is no such version.
    """
    if await find_version(tr, named) is None:
        raise layers.missing(named)
    return await find_policy(tr, named)


def put_policy(tr: Transaction, named: LayerName, policy: LayerPolicyRecord | None) -> None:
    """Write the policy of a version, or remove it."""
    if policy is None:
        LAYER_POLICIES.delete(tr, named.name, named.number)
    else:
        LAYER_POLICIES.put(tr, policy, named.name, named.number)


# What functions use.


class Found(NamedTuple):
    """Layer versions that a function is to use, their bytes at hand in its domain."""

    uses: tuple[LayerUse, ...]
    copies: tuple[BlobRef, ...]
    """Blobs that were written for it; ``attach`` says which of them nobody needs."""


NONE_FOUND: Final = Found((), ())


async def gather(call: Call, wanted: Sequence[tuple[str, LayerName]]) -> Found:
    """Return the layer versions that are wanted; those of other accounts are copied.

    Raises:
        InvalidParameterValueException: One is not there.
    """
    uses: list[LayerUse] = []
    copies: list[BlobRef] = []
    for arn, named in wanted:
        if named.domain == call.domain:
            uses.append(layers.use_of(arn, await _read_version(call, arn, named)))
            continue
        use = await _find_lent(call, arn)
        if use is None:
            version = await _read_version(call, arn, named)
            copy = await call.blobs.name()
            await call.blobs.write(copy, call.blobs_of(named.domain).read(version.blob))
            copies.append(copy)
            use = msgspec.structs.replace(
                layers.use_of(arn, version),
                blob_incarnation=copy.incarnation,
                blob_number=copy.number,
                borrowed=True,
            )
        uses.append(use)
    return Found(tuple(uses), tuple(copies))


async def _read_version(call: Call, arn: str, named: LayerName) -> LayerVersionRecord:
    """Return a version that a function is to use, whoever's it is.

    Raises:
        InvalidParameterValueException: It is not there.
    """

    async def body(tr: Transaction) -> LayerVersionRecord | None:
        return await find_version(tr, named)

    version = await call.read(named.domain, body)
    if version is None:
        raise layers.absent(arn)
    return version


async def _find_lent(call: Call, arn: str) -> LayerUse | None:
    """Return a version of another account that functions here use already, or None."""

    async def body(tr: Transaction) -> LayerUse | None:
        record = await BORROWED.find(tr, arn)
        return None if record is None else record.use

    return await call.store.read(body)


async def attach(tr: Transaction, found: Found) -> tuple[tuple[LayerUse, ...], list[BlobRef]]:
    """Refer to layer versions; return them as they are referred to, and blobs nobody needs.

    Raises:
        InvalidParameterValueException: One is gone by now.
    """
    attached: list[LayerUse] = []
    spare = list(found.copies)
    for use in found.uses:
        if use.borrowed:
            held = await _borrow(tr, use)
            if held is None:
                if use.blob not in spare:
                    raise layers.absent(use.arn)
                rows.attach(tr, use.blob, use.code_size)
                BORROWED.put(tr, BorrowedRecord(use, 1), use.arn)
                spare.remove(use.blob)
            attached.append(held or use)
            continue
        named = layers.find_named(use.arn)
        assert named is not None, "it was found by its name"
        if await find_version(tr, named) is None:
            raise layers.absent(use.arn)
        await rows.retain(tr, use.blob)
        attached.append(use)
    return tuple(attached), spare


async def _borrow(tr: Transaction, use: LayerUse) -> LayerUse | None:
    """Count one more user of a borrowed layer; return it, or None if nobody has it yet."""
    record = await BORROWED.find(tr, use.arn)
    if record is None:
        return None
    BORROWED.put(tr, BorrowedRecord(record.use, record.users + 1), use.arn)
    return record.use


async def retain(tr: Transaction, function: FunctionRecord) -> None:
    """Refer once more to the code and the layers of a function, as a version of it does."""
    await rows.retain(tr, function.blob)
    for use in function.layers:
        if use.borrowed:
            assert await _borrow(tr, use) is not None, "what uses it keeps it"
        else:
            await rows.retain(tr, use.blob)


async def release(tr: Transaction, function: FunctionRecord) -> None:
    """Let go of the code and the layers of a function or a version that goes."""
    await rows.release(tr, function.blob)
    await release_uses(tr, function.layers)


async def release_uses(tr: Transaction, uses: Sequence[LayerUse]) -> None:
    """Let go of layer versions."""
    for use in uses:
        if not use.borrowed:
            await rows.release(tr, use.blob)
            continue
        record = await BORROWED.find(tr, use.arn)
        assert record is not None, "what uses it keeps it"
        if record.users > 1:
            BORROWED.put(tr, BorrowedRecord(record.use, record.users - 1), use.arn)
            continue
        BORROWED.delete(tr, use.arn)
        await rows.release(tr, record.use.blob)
