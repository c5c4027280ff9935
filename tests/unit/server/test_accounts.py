from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fogbank.base.errors import Unavailable
from fogbank.base.ids import Ids
from fogbank.engines.memory import MemoryEngine
from fogbank.platform.identity.identity import Identity
from fogbank.server import accounts, datadir
from fogbank.server.accounts import AccountError, Accounts, CreateAccount
from fogbank.server.cli import env
from fogbank.server.config import AccountSettings, Config
from fogbank.server.control import ControlError, NoArguments
from fogbank.testing.clock import VirtualClock


class Directory:
    """A data directory with its store, a memory engine."""

    def __init__(self, path: Path, config: Config | None = None) -> None:
        self.path = path
        self.ids = Ids.seeded(3)
        self.identity = Identity(MemoryEngine(), VirtualClock(), self.ids)
        self.accounts = Accounts(path, self.identity, self.ids)
        asyncio.run(self.identity.open())
        self.ensure(config)

    def ensure(self, config: Config | None = None) -> None:
        config = config or Config()
        asyncio.run(accounts.ensure(self.path, config, self.identity, self.ids))

    def create(self, *said: str) -> Mapping[str, Any]:
        return asyncio.run(self.accounts.create(CreateAccount(*said), _no_rows))

    def list(self) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []

        async def send(row: Mapping[str, Any]) -> None:
            rows.append(row)

        result = asyncio.run(self.accounts.list(NoArguments(), send))
        assert result == {"count": len(rows)}
        return rows

    def file(self) -> list[datadir.AccountCredentials]:
        return datadir.read_credentials(self.path)


async def _no_rows(row: Mapping[str, Any]) -> None:
    raise AssertionError(row)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_a_new_account_is_in_the_file_and_its_root_signs(directory: Directory) -> None:
    said = directory.create("staging")
    row = directory.file()[1]
    assert said == {"name": "staging", "id": row.account_id}
    credential = asyncio.run(directory.identity.credential(row.access_key_id))
    assert credential is not None
    assert credential.secret_access_key == row.secret_access_key
    assert credential.principal.arn == f"arn:aws:iam::{row.account_id}:root"


def test_id_and_key_can_be_given(directory: Directory) -> None:
    secret = "a secret that a test makes up by itself"
    directory.create("mine", "111122223333", "LOCALKEYFORTESTS0001", secret)
    assert directory.file()[1] == datadir.AccountCredentials(
        "mine", "111122223333", "LOCALKEYFORTESTS0001", secret
    )
    credential = asyncio.run(directory.identity.credential("LOCALKEYFORTESTS0001"))
    assert credential is not None
    assert credential.principal.account == "111122223333"


def test_a_list_has_names_and_ids_and_no_secret(directory: Directory) -> None:
    directory.create("one", "000000000001")
    directory.create("nine", "999999999999")
    default = directory.file()[0].account_id
    assert directory.list() == [
        {"name": "one", "id": "000000000001"},
        {"name": "default", "id": default},
        {"name": "nine", "id": "999999999999"},
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (("taken",), "there is an account named taken"),
        (("other", "111122223333"), "there is an account 111122223333"),
        (("other", "", "LOCALKEYFORTESTS0001", "s" * 40), "LOCALKEYFORTESTS0001"),
        (("default",), "there is an account named default"),
    ],
)
def test_what_another_account_has_is_refused_and_nothing_changes(
    directory: Directory, said: tuple[str, ...], reason: str
) -> None:
    directory.create("taken", "111122223333", "LOCALKEYFORTESTS0001", "s" * 40)
    before = directory.file(), directory.list()
    with pytest.raises(ControlError, match=reason) as refusal:
        directory.create(*said)
    assert refusal.value.code == "AccountTaken"
    assert (directory.file(), directory.list()) == before


def test_a_key_that_stands_in_another_account_is_refused(directory: Directory) -> None:
    # The file does not know it: it was minted for a user, say.
    default = directory.file()[0]
    datadir.write_credentials(directory.path, [])
    with pytest.raises(ControlError, match=default.access_key_id):
        directory.create("thief", "", default.access_key_id, "s" * 40)
    assert directory.file() == []


@pytest.mark.parametrize(
    "said",
    [
        ("",),
        ("-x",),
        ("a b",),
        ("x" * 64,),
        ("111122223333",),
        ("a", "12"),
        ("a", "１１１１２２２２３３３３"),
        ("a", "", "LOCALKEYFORTESTS0001"),
        ("a", "", "", "s" * 40),
        ("a", "", "short", "s" * 40),
        ("a", "", "LOCALKEY/FORTESTS0001", "s" * 40),
        ("a", "", "LOCALKEYFORTESTS0001", "short"),
        ("a", "", "LOCALKEYFORTESTS0001", "s" * 40 + "\n"),
    ],
)
def test_what_makes_no_sense_is_refused(directory: Directory, said: tuple[str, ...]) -> None:
    with pytest.raises(ControlError) as refusal:
        directory.create(*said)
    assert refusal.value.code == "BadRequest"
    assert len(directory.file()) == 1


@pytest.mark.parametrize("by", ["the next attempt", "the next start"])
def test_what_was_cut_short_is_finished_by_the_next_attempt_or_start(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise Unavailable("no disk")

    with monkeypatch.context() as patch:
        patch.setattr(Identity, "create_account", broken)
        with pytest.raises(Unavailable):
            directory.create("half")
    row = directory.file()[1]
    assert row.name == "half"
    assert len(directory.list()) == 1
    if by == "the next attempt":
        for other in (("3" * 12, "", ""), ("", "LOCALKEYFORTESTS0001", "s" * 40)):
            with pytest.raises(ControlError, match="there is an account named half"):
                directory.create("half", *other)
        assert directory.create("half") == {"name": "half", "id": row.account_id}
    else:
        directory.ensure()
    assert {"name": "half", "id": row.account_id} in directory.list()
    assert len(directory.file()) == 2


def test_two_at_once_of_one_name_make_one_account(directory: Directory) -> None:
    async def both() -> list[Any]:
        two = (directory.accounts.create(CreateAccount("twin"), _no_rows) for _ in range(2))
        return await asyncio.gather(*two, return_exceptions=True)

    said = asyncio.run(both())
    assert sorted(type(each).__name__ for each in said) == ["ControlError", "dict"]
    assert [row.name for row in directory.file()] == ["default", "twin"]


def test_secrets_are_in_no_repr() -> None:
    assert "verysecret" not in repr(CreateAccount("a", "", "LOCALKEYFORTESTS0001", "verysecret"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("account.id", AccountSettings(id="3" * 12)),
        ("account.access_key_id", AccountSettings(access_key_id="LOCALKEYFORTESTS0001")),
        ("account.secret_access_key", AccountSettings(secret_access_key="s" * 40)),
    ],
)
def test_settings_of_another_account_than_the_directory_has_are_refused_and_not_ignored(
    directory: Directory, name: str, said: AccountSettings
) -> None:
    config = Config(account=said)
    with pytest.raises(accounts.AccountError, match=f"{name} differs"):
        asyncio.run(accounts.ensure(directory.path, config, directory.identity, directory.ids))


def test_a_file_that_contradicts_the_store_is_an_error_with_its_reason(
    directory: Directory,
) -> None:
    row = directory.file()[0]
    clash = datadir.AccountCredentials("default", "111122223333", "LOCALKEYFORTESTS0001", "s" * 40)
    datadir.write_credentials(directory.path, [row, clash])
    with pytest.raises(accounts.AccountError, match="default"):
        directory.ensure()


def test_an_account_is_of_the_partition_that_is_said_or_of_the_first_ones(tmp_path: Path) -> None:
    china = Config(region="cn-northwest-1")
    directory = Directory(tmp_path, china)
    directory.create("same")
    directory.create("gov", "", "", "", "aws-us-gov")
    with pytest.raises(ControlError, match="partition must be one of aws, aws-cn"):
        directory.create("none", "", "", "", "aws-mars")
    file = directory.file()
    wanted = ["aws-cn", "aws-cn", "aws-us-gov"]
    assert [row.partition for row in file] == wanted
    roots = [asyncio.run(directory.identity.credential(row.access_key_id)) for row in file]
    assert [root.principal.partition for root in roots if root is not None] == wanted
    directory.ensure(china)
    with pytest.raises(AccountError, match="region us-east-1 is not of the partition aws-cn"):
        directory.ensure()


@pytest.mark.parametrize(
    ("partition", "region"),
    [("aws", "eu-west-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")],
)
def test_env_names_a_region_of_the_accounts_partition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], partition: str, region: str
) -> None:
    row = datadir.AccountCredentials("a", "111122223333", "K" * 20, "s" * 40, partition)
    datadir.write_credentials(tmp_path, [row])
    (tmp_path / "fogbank.toml").write_text('region = "eu-west-1"\n')
    given = argparse.Namespace(data=str(tmp_path), account="a", format="json")
    assert env.run(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == region
