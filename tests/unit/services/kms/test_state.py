"""What becomes of keys in time, however often and however late it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from fogbank.contract.action import Scope
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.scheduler.timers import Timer
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store import tuples
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms import quotas
from fogbank.services.kms.rules import materials, policies
from fogbank.services.kms.rules.names import domain_of
from fogbank.services.kms.schema import (
    DISABLED,
    PENDING_DELETION,
    TABLES,
    GrantRecord,
    KeyRecord,
)
from fogbank.services.kms.state import grants, keys

ACCOUNT, KEY = "111122223333", "1234abcd-12ab-34cd-56ef-1234567890ab"
DOMAIN = domain_of(ACCOUNT, "us-east-1")
DUE_MS = 1_000_000


def a_key(**given: Any) -> KeyRecord:
    fields: dict[str, Any] = {
        "id": KEY,
        "created_ms": 0,
        "description": "",
        "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT",
        "manager": "CUSTOMER",
        "policy": policies.default_policy(Scope(ACCOUNT, "us-east-1")),
        "material": 1,
    }
    return KeyRecord(**{**fields, **given})


class Kept:
    """A store with one key in it."""

    def __init__(self, **given: Any) -> None:
        self.store = MemoryEngine(check=True, replay=True).store_of(DOMAIN)
        self.key = a_key(**given)
        self.run(lambda tr: keys.create_key(tr, self.key, self.material(), 10))

    @staticmethod
    def material() -> Any:
        return materials.fresh("SYMMETRIC_DEFAULT", lambda count: bytes(count), 0)

    def run(self, body: Callable[[Transaction], Awaitable[Any]]) -> Any:
        return asyncio.run(self.store.transact(body))

    def now(self) -> KeyRecord | None:
        return self.run(lambda tr: keys.KEYS.find(tr, KEY))

    def rows(self) -> int:
        async def body(tr: Transaction) -> int:
            found = 0
            for table in TABLES[:-1]:
                prefix = table.prefix(DOMAIN)
                found += len(await tr.range(prefix, tuples.after_prefix(prefix), limit=10_000))
            return found

        return self.run(body)


def timer(kind: str) -> Timer:
    return Timer(kind=kind, domain=DOMAIN.name, key=KEY.encode(), due_ms=DUE_MS)


@pytest.mark.slow
def test_a_key_with_many_grants_goes_at_once_and_its_grants_behind_it_in_steps() -> None:
    kept = Kept(state=PENDING_DELETION, deletion_ms=DUE_MS)

    async def grant(tr: Transaction) -> None:
        for number in range(450):
            made = GrantRecord(
                id=f"{number:064x}",
                key_id=KEY,
                name="",
                created_ms=0,
                grantee=f"arn:aws:iam::{ACCOUNT}:user/u{number}",
                retiring=f"arn:aws:iam::{ACCOUNT}:root",
                issuer=ACCOUNT,
                operations=("Decrypt",),
                secret=b"s",
            )
            await grants.create_grant(tr, made, 1_000)

    kept.run(grant)
    due: Timer | None = timer(keys.DELETE)
    left: list[int] = []
    while due is not None:
        step = due
        due = kept.run(lambda tr, step=step: keys.delete_due(tr, step, DUE_MS))
        assert kept.now() is None
        left.append(kept.rows())
    assert left == [250 * 3, 50 * 3, 0]


@pytest.mark.parametrize(
    "given",
    [{}, {"state": DISABLED}, {"state": PENDING_DELETION, "deletion_ms": DUE_MS + 1}],
)
def test_a_timer_deletes_no_key_that_is_not_due(given: dict[str, Any]) -> None:
    kept = Kept(**given)
    assert kept.run(lambda tr: keys.delete_due(tr, timer(keys.DELETE), DUE_MS)) is None
    assert kept.now() == kept.key
    assert kept.rows() == 2


def entry(due_ms: int = DUE_MS) -> WorkEntry:
    return WorkEntry(
        list=keys.ROTATIONS,
        id=KEY,
        domain=DOMAIN.name,
        payload=str(due_ms).encode(),
        created_ms=0,
        visible_ms=0,
    )


def test_an_attempt_that_is_made_again_rotates_once() -> None:
    kept = Kept(rotation_days=90, rotation_ms=DUE_MS)

    def attempt() -> Timer | None:
        return kept.run(lambda tr: keys.rotate_due(tr, entry(), kept.material(), DUE_MS))

    following = attempt()
    assert following is not None
    assert following.due_ms == DUE_MS + 90 * quotas.DAY_MS
    assert attempt() is None
    rotated = kept.now()
    assert rotated is not None
    assert (rotated.material, rotated.rotation_ms) == (2, following.due_ms)


@pytest.mark.parametrize(
    "given",
    [
        {"rotation_days": 0},
        {"rotation_days": 90, "rotation_ms": DUE_MS + 1},
        {"rotation_days": 90, "rotation_ms": DUE_MS, "state": DISABLED},
        {"rotation_days": 90, "rotation_ms": DUE_MS, "state": PENDING_DELETION},
    ],
)
def test_a_key_that_is_not_due_keeps_its_material(given: dict[str, Any]) -> None:
    kept = Kept(**given)
    kept.run(lambda tr: keys.queue_rotation(tr, timer(keys.ROTATE), DUE_MS))
    kept.run(lambda tr: keys.rotate_due(tr, entry(), kept.material(), DUE_MS))
    assert kept.now() == kept.key
    assert msgspec.structs.asdict(kept.key)["material"] == 1
