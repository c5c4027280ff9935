"""A request that is repeated with its token is answered and not carried out again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fogbank.base.errors import Corrupt, TokenReused
from fogbank.platform.store import tokens
from fogbank.platform.store.engine import SYSTEM, Body, Domain, Token, Transaction
from fogbank.platform.store.keyspace import TOKENS
from fogbank.testing.clock import VirtualClock

DOMAIN = Domain("account", "region")
OTHER = Domain("account", "elsewhere")
P = DOMAIN.prefix
WINDOW_MS = 600_000
SUBSPACE = b"\x01" + bytes([TOKENS])


def token(
    word: str = "t",
    request: str = "one",
    *,
    operation: str = "Transact",
    account: str = "1" * 12,
    service: str = "dynamodb",
) -> Token:
    digest = tokens.digest_of({"Request": request})
    return Token(account, service, operation, word, digest, WINDOW_MS)


def counting(domain: Domain = DOMAIN) -> Body[Any]:
    """Return a body that counts how often it took effect, and answers the count."""

    async def body(tr: Transaction) -> Any:
        key = domain.prefix + b"count"
        count = int(await tr.get(key) or b"0") + 1
        tr.put(key, b"%d" % count)
        return {"Count": count, "pair": (count, b"x")}

    return body


async def count_of(engine: Any, domain: Domain = DOMAIN) -> int:
    async def body(tr: Transaction) -> bytes | None:
        return await tr.get(domain.prefix + b"count")

    return int(await engine.store_of(domain).read(body) or b"0")


async def token_rows(engine: Any) -> dict[bytes, bytes]:
    async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
        return await tr.range(SUBSPACE, SUBSPACE + b"\xff", limit=1_000)

    return dict(await engine.store_of(SYSTEM).read(body))


async def test_a_repeat_is_answered_with_the_first_result_and_not_carried_out(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    first = await store.transact(counting(), token=token())
    assert first == {"Count": 1, "pair": [1, b"x"]}
    repeats = [store.transact(counting(), token=token()) for _ in range(3)]
    assert await asyncio.gather(*repeats) == [first] * 3
    assert await count_of(engine) == 1


async def test_repeats_at_once_are_carried_out_once(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    answers = await asyncio.gather(*(store.transact(counting(), token=token()) for _ in range(9)))
    assert [answer["Count"] for answer in answers] == [1] * 9
    assert await count_of(engine) == 1


async def test_the_same_token_with_another_request_is_refused(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(counting(), token=token())
    with pytest.raises(TokenReused, match="dynamodb:Transact"):
        await store.transact(counting(), token=token(request="another"))
    assert await count_of(engine) == 1


async def test_a_token_stands_for_one_operation_of_one_caller_and_domain(engine: Any) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(counting(), token=token())
    await store.transact(counting(), token=token(operation="Other"))
    await store.transact(counting(), token=token("u"))
    # Two accounts may act on one domain: another's bucket.
    await store.transact(counting(), token=token(account="2" * 12))
    await store.transact(counting(), token=token(service="s3"))
    assert await count_of(engine) == 5
    await engine.store_of(OTHER).transact(counting(OTHER), token=token())
    assert await count_of(engine, OTHER) == 1


async def test_a_request_that_failed_leaves_no_row(engine: Any) -> None:
    async def failing(tr: Transaction) -> None:
        tr.put(P + b"count", b"7")
        raise LookupError("no")

    store = engine.store_of(DOMAIN)
    with pytest.raises(LookupError):
        await store.transact(failing, token=token())
    assert await token_rows(engine) == {}
    assert (await store.transact(counting(), token=token()))["Count"] == 1


async def test_a_result_that_is_too_large_is_refused_and_leaves_nothing(engine: Any) -> None:
    async def body(tr: Transaction) -> bytes:
        tr.put(P + b"count", b"7")
        return bytes(tokens.RESULT_BYTES_MAX)

    with pytest.raises(ValueError, match="passes 65536 bytes"):
        await engine.store_of(DOMAIN).transact(body, token=token())
    assert await count_of(engine) == 0


async def test_after_its_window_a_token_is_new_whether_swept_or_not(
    engine: Any, clock: VirtualClock
) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(counting(), token=token())
    clock.advance_to(clock.now_ms() + WINDOW_MS - 1)
    assert (await store.transact(counting(), token=token()))["Count"] == 1
    clock.advance_to(clock.now_ms() + 1)
    assert (await store.transact(counting(), token=token(request="another")))["Count"] == 2
    rows = await token_rows(engine)
    assert len(rows) == 2  # the row and its entry by end; the old entry went with the old row
    assert tokens.damage_of(rows) == []


async def test_the_sweep_removes_rows_whose_window_is_over_and_no_others(
    engine: Any, clock: VirtualClock
) -> None:
    system = engine.system_stores()[0]
    for n in range(7):
        await engine.store_of(DOMAIN).transact(counting(), token=token(f"old {n}"))
    clock.advance_to(clock.now_ms() + WINDOW_MS)
    for n in range(2):
        await engine.store_of(DOMAIN).transact(counting(), token=token(f"new {n}"))
    assert [await tokens.sweep(system, 5) for _ in range(3)] == [5, 2, 0]
    rows = await token_rows(engine)
    assert len(rows) == 4
    assert tokens.damage_of(rows) == []
    assert (await engine.store_of(DOMAIN).transact(counting(), token=token("new 1")))["Count"] == 9


async def test_a_row_and_its_entry_go_together_or_are_damage(
    engine: Any, clock: VirtualClock
) -> None:
    store = engine.store_of(DOMAIN)
    await store.transact(counting(), token=token())
    rows = await token_rows(engine)
    for lost in rows:
        assert len(tokens.damage_of({key: rows[key] for key in rows if key != lost})) == 1

    async def lose(tr: Transaction) -> None:
        tr.delete(tokens.row_key(DOMAIN, token()))

    await store.transact(lose)
    clock.advance_to(clock.now_ms() + WINDOW_MS)
    with pytest.raises(Corrupt):
        await tokens.sweep(engine.system_stores()[0], 5)


def test_the_digest_of_a_request_is_that_of_its_members_in_any_order() -> None:
    one = tokens.digest_of({"A": {"b": 1, "c": [b"x"]}, "D": "e"})
    assert one == tokens.digest_of({"D": "e", "A": {"c": [b"x"], "b": 1}})
    assert one != tokens.digest_of({"D": "e", "A": {"c": [b"y"], "b": 1}})
