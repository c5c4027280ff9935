"""Credentials of a front: asked once, fresh as long as the epoch lasts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.unit.gateway.stub import ACCOUNT, KEY_ID, SECRET, Gate

from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.gateway.credentials import ProofOwner, RemoteProofs
from fogbank.platform.identity.cache import SharedEpochs, page_bytes
from fogbank.platform.identity.credentials import ExpiredToken
from fogbank.platform.identity.identity import Identity
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.platform.identity.records import ACCESS_KEYS
from fogbank.platform.link.port import Answer, Asked, ByteSource


class Lab:
    """A store process's identity and a front's proofs over one page of epochs."""

    def __init__(self) -> None:
        gate = Gate()
        page = memoryview(bytearray(page_bytes(1)))
        self.clock = gate.clock
        self.identity = Identity(gate.engine, gate.clock, Ids.seeded(9), SharedEpochs(page, 0))
        self.asked = 0
        self._owner = ProofOwner(self.identity).handlers()
        self.proofs = RemoteProofs(lambda _: self, SharedEpochs(page, None), gate.clock)

    async def call(self, method: str, value: Any, stream: ByteSource | None = None) -> Answer:
        assert stream is None
        self.asked += 1
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
        answer = await self._owner[method](Asked(packed))
        return Answer(msgspec.msgpack.decode(msgspec.msgpack.encode(answer.value)))


def in_lab(test: Any) -> None:
    lab = Lab()

    async def run() -> None:
        await lab.identity.open()
        await test(lab)

    asyncio.run(run())


def test_a_credential_is_asked_for_once_and_again_when_its_account_has_changed() -> None:
    async def test(lab: Lab) -> None:
        for _ in range(3):
            proof = await lab.proofs.proof(KEY_ID)
            assert proof is not None
            assert proof.credential.secret_access_key == SECRET
        assert lab.asked == 1

        async def remove(tr: Any) -> None:
            ACCESS_KEYS.delete(tr, KEY_ID)

        await lab.identity.change(ACCOUNT, remove)
        assert await lab.proofs.proof(KEY_ID) is None
        assert lab.asked == 2

    in_lab(test)


def test_a_session_is_proved_by_its_token_until_it_ends() -> None:
    async def test(lab: Lab) -> None:
        session = lab.identity.new_session(
            account=ACCOUNT, kind=PrincipalKind.ROOT, unique_id=ACCOUNT, name="", duration_s=900
        )
        given = await lab.identity.session(session)
        for _ in range(2):
            proof = await lab.proofs.proof(given.access_key_id, given.session_token)
            assert proof is not None
            assert proof.credential == given
        assert lab.asked == 1
        assert await lab.proofs.proof(given.access_key_id, "another") is None
        lab.clock.advance_to(lab.clock.now_ms() + 900_000)
        with pytest.raises(ExpiredToken):
            await lab.proofs.proof(given.access_key_id, given.session_token)

    in_lab(test)


def test_what_proves_nothing_is_not_remembered_and_absurd_keys_are_not_asked_for() -> None:
    async def test(lab: Lab) -> None:
        assert await lab.proofs.proof("AKIAIOSFODNN7EXAMPLE") is None
        assert await lab.proofs.proof("x" * 500) is None
        assert lab.asked == 1

    in_lab(test)


def test_a_store_process_that_is_starting_proves_nothing_yet() -> None:
    lab = Lab()
    with pytest.raises(Unavailable):
        asyncio.run(lab.proofs.proof(KEY_ID))
