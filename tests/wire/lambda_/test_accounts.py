from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.services.lambda_ import quotas


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
    assert limits == {"CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 1_000}
    with pytest.raises(ClientError, match=r"InvalidParameterValueException|RequestEntityTooLarge"):
        create(Code={"ZipFile": b"PK" + bytes(2_000)})
