from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
import pytest

from fogbank.base.ids import Ids
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.iam.evaluate import evaluate
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.accounts import AccountTaken
from fogbank.platform.identity.credentials import Credential, ExpiredToken
from fogbank.platform.identity.identity import Identity
from fogbank.platform.identity.principal import Principal, PrincipalKind
from fogbank.platform.identity.records import (
    ACCESS_KEYS,
    ROLES,
    USERS,
    AccessKeyRecord,
    RoleRecord,
    UserRecord,
)
from fogbank.platform.store.engine import Transaction
from fogbank.testing.clock import VirtualClock

T = TypeVar("T")
ACCOUNT = "111122223333"
ALLOW_S3 = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}'
ALLOW_GET = ALLOW_S3.replace("s3:*", "s3:GetObject")


class World:
    """An identity over a memory engine, with an account, a user and a role."""

    def __init__(self, *, replay: bool = False) -> None:
        self.clock = VirtualClock()
        self.ids = Ids.seeded(7)
        self.engine = MemoryEngine(replay=replay)
        self.identity = self.reopen()
        self.root = run(self.identity.create_account("default", account_id=ACCOUNT))

    def reopen(self) -> Identity:
        identity = Identity(self.engine, self.clock, self.ids)
        run(identity.open())
        return identity

    def put_user(self, *, inline: str | None = ALLOW_S3, unique_id: str = "AIDAONE") -> str:
        key_id = Identity.mint_key_id(ACCOUNT, self.ids)
        policies = () if inline is None else (("p", inline),)
        user = UserRecord("Alice", "/staff/", unique_id, 0, inline=policies, access_keys=(key_id,))

        async def body(tr: Transaction) -> None:
            USERS.put(tr, user, "alice")
            key = AccessKeyRecord(key_id, "s" * 40, "Alice", unique_id, 0)
            ACCESS_KEYS.put(tr, key, key_id)

        run(self.identity.change(ACCOUNT, body))
        return key_id

    def put_role(self, unique_id: str = "AROAONE") -> None:
        role = RoleRecord(
            "worker", "/jobs/", unique_id, 0, "{}", inline=(("p", ALLOW_S3),), tags=(("a", "role"),)
        )

        async def body(tr: Transaction) -> None:
            ROLES.put(tr, role, "worker")

        run(self.identity.change(ACCOUNT, body))

    def session(self, **given: Any) -> Credential:
        session = self.identity.new_session(
            account=ACCOUNT,
            kind=PrincipalKind.SESSION,
            unique_id="AROAONE",
            name="worker",
            duration_s=900,
        )
        session = msgspec.structs.replace(session, session_name="one", **given)
        return run(self.identity.session(session))

    def find(self, credential: Credential) -> Credential | None:
        return run(self.identity.credential(credential.access_key_id, credential.session_token))

    def allows(self, principal: Principal, action: str) -> bool:
        policies = run(self.identity.policies.of(principal))
        return evaluate(AccessRequest(principal, action, "arn:aws:s3:::b/k"), policies).allowed


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture(params=[False, True], ids=["once", "replayed"])
def world(request: pytest.FixtureRequest) -> World:
    return World(replay=request.param)


def test_the_root_key_of_an_account_proves_its_root(world: World) -> None:
    found = run(world.identity.credential(world.root.access_key_id))
    assert found == world.root
    assert found.principal.arn == f"arn:aws:iam::{ACCOUNT}:root"
    assert found.principal.user_id == ACCOUNT
    assert run(world.identity.root_credential(ACCOUNT)) == world.root


def test_an_unknown_key_proves_nothing(world: World) -> None:
    for key_id in (
        "",
        "test",
        "AKIAIOSFODNN7EXAMPLE",
        world.identity.mint_key_id(ACCOUNT, world.ids),
        "\u00e9" * 20,
        "A" * 5_000,
    ):
        assert run(world.identity.credential(key_id)) is None


def test_a_key_that_we_did_not_mint_is_found_through_the_directory(world: World) -> None:
    given = run(
        world.identity.create_account(
            "second", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="x" * 40
        )
    )
    assert given.secret_access_key == "x" * 40
    assert run(world.reopen().credential("AKIAIOSFODNN7EXAMPLE")) == given
    account = run(world.identity.account_of_key("AKIAIOSFODNN7EXAMPLE"))
    assert account == given.principal.account


def test_accounts_have_one_name_one_id_and_one_key(world: World) -> None:
    taken = [
        {"name": "default"},
        {"name": "other", "account_id": ACCOUNT},
        {"name": "default", "account_id": "999988887777"},
    ]
    for given in taken:
        with pytest.raises(AccountTaken):
            run(world.identity.create_account(**given))
    run(world.identity.create_account("b", access_key_id="AKIAIOSFODNN7EXAMPLE"))
    with pytest.raises(AccountTaken):
        run(world.identity.create_account("c", access_key_id="AKIAIOSFODNN7EXAMPLE"))


def test_accounts_are_found_by_name_and_id_and_listed(world: World) -> None:
    run(world.identity.create_account("second", account_id="222233334444"))
    for key in ("second", "222233334444"):
        found = run(world.identity.find_account(key))
        assert found is not None
        assert (found.account_id, found.name) == ("222233334444", "second")
    assert run(world.identity.find_account("third")) is None
    listed = run(world.identity.list_accounts())
    assert [one.account_id for one in listed] == [ACCOUNT, "222233334444"]
    assert [one.name for one in run(world.identity.list_accounts(after=ACCOUNT))] == ["second"]


def test_an_account_whose_making_was_cut_short_is_finished_by_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("fogbank.platform.identity.accounts.write", cut)
        with pytest.raises(ConnectionError):
            run(world.identity.create_account("half", account_id="555566667777"))
    assert run(world.identity.find_account("half")) is None
    finished = run(world.identity.create_account("half"))
    assert finished.principal.account == "555566667777"


def test_a_users_key_proves_the_user(world: World) -> None:
    key_id = world.put_user()
    found = run(world.identity.credential(key_id))
    assert found is not None
    assert found.principal.arn == f"arn:aws:iam::{ACCOUNT}:user/staff/Alice"
    assert found.principal.user_id == "AIDAONE"


def test_a_key_does_not_prove_anything_with_a_token(world: World) -> None:
    key_id = world.put_user()
    assert run(world.identity.credential(key_id)) is not None
    assert run(world.identity.credential(key_id, "token")) is None


def test_a_revocation_is_in_force_as_soon_as_it_is_acknowledged(world: World) -> None:
    key_id = world.put_user()
    found = run(world.identity.credential(key_id))
    assert found is not None
    assert world.allows(found.principal, "s3:GetObject")

    async def disarm(tr: Transaction) -> None:
        USERS.put(tr, UserRecord("Alice", "/staff/", "AIDAONE", 0), "alice")

    run(world.identity.change(ACCOUNT, disarm))
    assert not world.allows(found.principal, "s3:GetObject")

    async def deactivate(tr: Transaction) -> None:
        key = AccessKeyRecord(key_id, "s" * 40, "Alice", "AIDAONE", 0, active=False)
        ACCESS_KEYS.put(tr, key, key_id)

    run(world.identity.change(ACCOUNT, deactivate))
    assert run(world.identity.credential(key_id)) is None


def test_what_was_read_before_a_change_is_not_served_after_it(world: World) -> None:
    key_id = world.put_user()

    async def raced() -> None:
        reading = asyncio.ensure_future(world.identity.credential(key_id))
        await asyncio.sleep(0)  # the read has run, its answer is on its way

        async def delete(tr: Transaction) -> None:
            ACCESS_KEYS.delete(tr, key_id)

        await world.identity.change(ACCOUNT, delete)
        await reading
        assert await world.identity.credential(key_id) is None

    run(raced())


def test_a_principal_whose_name_belongs_to_another_now_may_nothing(world: World) -> None:
    key_id = world.put_user(unique_id="AIDAOLD")
    old = run(world.identity.credential(key_id))
    assert old is not None
    world.put_user(unique_id="AIDANEW")
    assert not world.allows(old.principal, "s3:GetObject")


def test_a_session_lives_in_its_token_alone(world: World) -> None:
    world.put_role()
    given = world.session()
    assert given.access_key_id.startswith("ASIA")
    assert given.principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one"
    assert given.principal.role_arn == f"arn:aws:iam::{ACCOUNT}:role/jobs/worker"
    assert given.principal.user_id == "AROAONE:one"
    world.identity = world.reopen()
    assert world.find(given) == given
    assert world.find(given) == given
    assert world.allows(given.principal, "s3:PutObject")


def test_a_session_ends(world: World) -> None:
    world.put_role()
    given = world.session()
    world.clock.advance_to(world.clock.now_ms() + 899_999)
    assert world.find(given) == given
    world.clock.advance_to(world.clock.now_ms() + 1)
    for identity in (world.identity, world.reopen()):
        with pytest.raises(ExpiredToken):
            run(identity.credential(given.access_key_id, given.session_token))


def test_a_token_that_was_touched_proves_nothing(world: World) -> None:
    world.put_role()
    given = world.session()
    token = given.session_token
    assert run(world.identity.credential(given.access_key_id)) is None
    for at in range(0, len(token), 7):
        touched = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert run(world.identity.credential(given.access_key_id, touched)) is None
    for bad in ("", "x", "\u00e9", "A" * 100_000):
        assert run(world.identity.credential(given.access_key_id, bad)) is None
    other = world.session()
    assert run(world.identity.credential(other.access_key_id, token)) is None


def test_a_token_of_another_store_proves_nothing(world: World) -> None:
    world.put_role()
    other = World()
    other.ids = Ids.seeded(8)
    other.engine = MemoryEngine()
    other.identity = other.reopen()
    other.root = run(other.identity.create_account("default", account_id=ACCOUNT))
    other.put_role()
    given = world.session()
    assert other.find(given) is None


def test_a_session_ends_with_its_role(world: World) -> None:
    world.put_role()
    given = world.session()
    assert world.find(given) == given
    world.put_role(unique_id="AROATWO")
    assert world.find(given) is None
    assert not world.allows(given.principal, "s3:PutObject")


def test_a_session_policy_cuts_down_and_tags_win_over_the_roles(world: World) -> None:
    world.put_role()
    given = world.session(policies=(ALLOW_GET,), tags=(("A", "session"), ("b", "2")))
    assert world.allows(given.principal, "s3:GetObject")
    assert not world.allows(given.principal, "s3:PutObject")
    assert given.principal.tags == (("A", "session"), ("b", "2"))
    assert world.session().principal.tags == (("a", "role"),)


def test_a_users_own_session_may_not_call_iam(world: World) -> None:
    everything = ALLOW_S3.replace("s3:*", "*")
    world.put_user(inline=everything)
    session = world.identity.new_session(
        account=ACCOUNT,
        kind=PrincipalKind.USER,
        unique_id="AIDAONE",
        name="Alice",
        duration_s=900,
    )
    given = run(world.identity.session(session))
    assert given.principal.arn == f"arn:aws:iam::{ACCOUNT}:user/staff/Alice"
    assert world.allows(given.principal, "s3:GetObject")
    assert not world.allows(given.principal, "iam:GetUser")
    assert world.find(given) == given


def test_no_secret_is_in_a_repr(world: World) -> None:
    world.put_role()
    given = world.session()
    shown = repr(given) + repr(world.root) + repr(AccessKeyRecord("k", "hidden", "", "", 0))
    for secret in (given.secret_access_key, given.session_token, "hidden"):
        assert secret not in shown
    assert world.root.secret_access_key not in shown
