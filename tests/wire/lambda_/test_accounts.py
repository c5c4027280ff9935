from __future__ import annotations

import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.platform.store.engine import Domain, Transaction
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.schema import ACCOUNTS, AccountRecord


def test_an_account_tells_how_many_functions_it_has(
    create: Any, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "LIST_PAGE", 2)
    assert functions.get_account_settings()["AccountUsage"] == {
        "FunctionCount": 0,
        "TotalCodeSize": 0,
    }
    sizes = [create(FunctionName=f"f{number}")["CodeSize"] for number in range(5)]
    usage = functions.get_account_settings()["AccountUsage"]
    assert usage == {"FunctionCount": 5, "TotalCodeSize": sum(sizes)}
    functions.delete_function(FunctionName="f0")
    assert functions.get_account_settings()["AccountUsage"]["FunctionCount"] == 4


@pytest.mark.parametrize("cloud", [{"lambda.zipped_bytes_max": 1_000}], indirect=True)
def test_an_account_is_told_the_limits_that_hold(functions: Any, create: Any) -> None:
    limits = functions.get_account_settings()["AccountLimit"]
    assert limits == {
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 1_000,
        "ConcurrentExecutions": 1_000,
        "TotalCodeSize": 80_530_636_800,
        "UnreservedConcurrentExecutions": 1_000,
    }
    with pytest.raises(ClientError, match=r"InvalidParameterValueException|RequestEntityTooLarge"):
        create(Code={"ZipFile": b"PK" + bytes(2_000)})


@pytest.mark.parametrize("cloud", [{"lambda.code_storage_bytes_max": 1_000}], indirect=True)
def test_code_is_stored_up_to_the_limit_of_the_account(
    create: Any, functions: Any, zipped: Any, cloud: Any, refusal: Any
) -> None:
    """Zip files of functions, of each version and of layers; what is deleted makes room."""
    exceeded = ("CodeStorageExceededException", "Code storage limit exceeded.")

    def used() -> int:
        cloud.settle()
        total: int = functions.get_account_settings()["AccountUsage"]["TotalCodeSize"]
        return total

    size = create("def handler(event, context): pass")["CodeSize"]
    assert 120 < size < 200, "six of them do not fit"
    content = {"LayerName": "l", "Content": {"ZipFile": zipped("x = 1")}}
    layer = functions.publish_layer_version(**content)["Content"]["CodeSize"]
    functions.publish_version(FunctionName="f")
    functions.publish_version(FunctionName="f")
    assert used() == 2 * size + layer, "what has not changed is no new version"
    large = zipped(f"x = '{random.Random(1).randbytes(1_000).hex()}'")
    assert refusal(create, FunctionName="g", Code={"ZipFile": large}) == exceeded
    update = {"FunctionName": "f", "ZipFile": large}
    assert refusal(functions.update_function_code, **update) == exceeded
    content["Content"] = {"ZipFile": large}
    assert refusal(functions.publish_layer_version, **content) == exceeded
    assert used() == 2 * size + layer, "what was refused left nothing"
    functions.delete_layer_version(LayerName="l", VersionNumber=1)
    assert used() == 2 * size
    smaller = functions.update_function_code(FunctionName="f", ZipFile=zipped(""))["CodeSize"]
    assert used() == size + smaller
    functions.delete_function(FunctionName="f")
    assert used() == 0


def test_a_store_that_kept_no_sum_of_its_code_is_counted_once(
    create: Any, functions: Any, cloud: Any, account: str
) -> None:
    """As it was written before there was such a sum: a record that says nothing of it, or none."""
    size = create()["CodeSize"]
    create(FunctionName="g")
    functions.publish_version(FunctionName="g")
    store = cloud.engine.store_of(Domain("lambda", account, "us-east-1"))

    async def forget(tr: Transaction) -> None:
        ACCOUNTS.put(tr, AccountRecord(7), "account")

    cloud.run(store.transact(forget))

    def used() -> int:
        total: int = functions.get_account_settings()["AccountUsage"]["TotalCodeSize"]
        return total

    assert used() == 3 * size
    functions.publish_version(FunctionName="f")
    assert used() == 4 * size
    functions.delete_function(FunctionName="f")
    cloud.settle()
    assert used() == 2 * size
    held = functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    assert held == 993
