"""Token rows: a request that a client repeats with its token is answered, not carried out again.

A row lies in the system subspace ``TOKENS`` of the domain's partition under (account, service,
operation, token) and is written in the transaction that it stands for. It holds the digest of the
request, the result as MessagePack and when it ends. Beside it lies an entry by that end, which the
sweep walks. The caller of a transaction with a token always gets the result as it reads back, so
that a repeat cannot differ from the first answer.

Rule: a row that has ended is as good as absent, swept or not: the window is the service's promise,
the sweep only makes room. The time is the store's.

Source: AWS's "Making retries safe with idempotent APIs" (Builders' Library), and the pages of
``ClientRequestToken`` and of SQS's deduplication ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, TypeVar

import msgspec

from fogbank.base.errors import Corrupt, TokenReused
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Body, Domain, Store, Token, Transaction
from fogbank.platform.store.keyspace import PARTITIONS, TOKENS, partition_of, system_prefix
from fogbank.platform.store.records import Record, RecordDecoder, encode

T = TypeVar("T")

RESULT_BYTES_MAX: Final = 64 << 10
TOKEN_CHARACTERS_MAX: Final = 256
WINDOW_MS_MAX: Final = 30 * 86_400_000
_BY_NAME: Final = 1
"""The first element of the keys of rows."""
_BY_END: Final = 2
"""The first element of the keys of the entries that the sweep walks."""
_DIGEST_BYTES: Final = 16
_PREFIX_BYTES: Final = len(system_prefix(TOKENS, 0))
_NAME_MARK: Final = tuples.pack(_BY_NAME)
_END_BYTES: Final = len(tuples.pack(_BY_END, 0))
_canonical: Final = msgspec.msgpack.Encoder(order="deterministic")


class TokenRow(Record, frozen=True, array_like=True, tag="platform.token/1"):
    """What a token stands for."""

    digest: bytes
    result: bytes
    """MessagePack: what the transaction answered."""
    ends_ms: int


decode_row: Final = RecordDecoder(TokenRow).decode


def digest_of(request: Mapping[str, Any]) -> bytes:
    """Return the digest of a request's members, which do not include its token."""
    return blake2b(_canonical.encode(request), digest_size=_DIGEST_BYTES).digest()


def row_key(domain: Domain, token: Token) -> bytes:
    """Return the key of a token's row."""
    account, service, operation, word, _digest, _window_ms = token
    assert 0 < len(word) <= TOKEN_CHARACTERS_MAX, "the model bounds the length of a token"
    name = tuples.pack(_BY_NAME, domain.prefix, account, service, operation, word)
    return system_prefix(TOKENS, partition_of(domain)) + name


def _end_key(key: bytes, ends_ms: int) -> bytes:
    """Return the key of the entry by end that belongs to the row at a key."""
    prefix, name = key[:_PREFIX_BYTES], key[_PREFIX_BYTES + len(_NAME_MARK) :]
    return prefix + tuples.pack(_BY_END, ends_ms) + name


def row_key_of(end_key: bytes) -> tuple[bytes, int]:
    """Return the key of the row that an entry by end belongs to, and that end."""
    prefix, rest = end_key[:_PREFIX_BYTES], end_key[_PREFIX_BYTES:]
    _by_end, ends_ms = tuples.unpack(rest[:_END_BYTES])
    assert isinstance(ends_ms, int)
    return prefix + _NAME_MARK + rest[_END_BYTES:], ends_ms


def once(body: Body[T], token: Token) -> Body[T]:
    """Return a body that answers what the token's row holds, or runs and leaves the row.

    Raises:
        TokenReused: The row is that of another request.
        TypeError: The result is not made of plain values.
        ValueError: The result is too large.
    """
    assert 0 < token.window_ms <= WINDOW_MS_MAX

    async def answer(tr: Transaction) -> T:
        key = row_key(tr.domain, token)
        now_ms = await tr.now_ms()
        raw = await tr.get(key)
        row = None if raw is None else decode_row(raw)
        if row is not None and row.ends_ms > now_ms:
            if row.digest != token.digest:
                raise TokenReused(f"the token of {token.service}:{token.operation} was used")
            return msgspec.msgpack.decode(row.result)
        if row is not None:
            tr.delete(_end_key(key, row.ends_ms))
        result = msgspec.msgpack.encode(await body(tr))
        if len(result) > RESULT_BYTES_MAX:
            raise ValueError(f"the result of a token passes {RESULT_BYTES_MAX} bytes")
        row = TokenRow(token.digest, result, now_ms + token.window_ms)
        tr.put(key, encode(row))
        tr.put(_end_key(key, row.ends_ms), b"")
        return msgspec.msgpack.decode(result)

    return answer


async def forget(tr: Transaction, token: Token) -> None:
    """Remove the row of a token that nobody will send again."""
    key = row_key(tr.domain, token)
    raw = await tr.get(key)
    if raw is not None:
        tr.delete(key)
        tr.delete(_end_key(key, decode_row(raw).ends_ms))


async def sweep(store: Store, limit: int) -> int:
    """Remove up to ``limit`` rows that have ended, the oldest of each partition first.

    Args:
        store: The system subspaces of a store.
        limit: The most to remove in this step.

    Returns:
        How many were removed.
    """
    swept = 0
    for partition in range(PARTITIONS):
        if swept >= limit:
            break
        prefix = system_prefix(TOKENS, partition) + tuples.pack(_BY_END)
        if await store.read(_first_ended(prefix)):
            swept += await store.transact(_sweeping(prefix, limit - swept))
    return swept


def _first_ended(prefix: bytes) -> Body[bool]:
    """Return a body that tells whether there is anything to sweep, so that most sweeps only read."""

    async def body(tr: Transaction) -> bool:
        first = await tr.range(prefix, tuples.after_prefix(prefix), limit=1)
        return bool(first) and row_key_of(first[0][0])[1] <= await tr.now_ms()

    return body


def _sweeping(prefix: bytes, limit: int) -> Body[int]:
    """Return the body that removes rows which have ended, and the entries that led to them."""

    async def body(tr: Transaction) -> int:
        now_ms = await tr.now_ms()
        swept = 0
        for end_key, _empty in await tr.range(prefix, tuples.after_prefix(prefix), limit=limit):
            key, ends_ms = row_key_of(end_key)
            if ends_ms > now_ms:
                break
            raw = await tr.get(key)
            if raw is None or decode_row(raw).ends_ms != ends_ms:
                raise Corrupt(f"the entry {end_key!r} does not belong to the row of its token")
            tr.delete(key)
            tr.delete(end_key)
            swept += 1
        return swept

    return body


def damage_of(rows: Mapping[bytes, bytes | None]) -> list[str]:
    """Return what is wrong with the rows of the subspace: each row has its entry and only that."""
    expected = {
        _end_key(key, decode_row(value).ends_ms)
        for key, value in rows.items()
        if value is not None and key[_PREFIX_BYTES:].startswith(_NAME_MARK)
    }
    found = {
        key
        for key, value in rows.items()
        if value is not None and not key[_PREFIX_BYTES:].startswith(_NAME_MARK)
    }
    return [
        f"the token row for the entry {key!r} is missing" for key in sorted(found - expected)
    ] + [f"the entry {key!r} of a token row is missing" for key in sorted(expected - found)]
