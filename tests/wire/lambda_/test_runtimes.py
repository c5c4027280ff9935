"""How runtimes are kept up to date."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_runtime_is_the_newest_that_the_machine_has(
    create: Any, functions: Any, refusal: Any
) -> None:
    arn = create(Publish=True)["FunctionArn"].removesuffix(":1")
    for asked, told in (({}, arn), ({"Qualifier": "1"}, f"{arn}:1")):
        put = functions.put_runtime_management_config(
            FunctionName="f", UpdateRuntimeOn="Auto", **asked
        )
        found = functions.get_runtime_management_config(FunctionName="f", **asked)
        for answer in (put, found):
            answer.pop("ResponseMetadata")
            assert answer == {"UpdateRuntimeOn": "Auto", "FunctionArn": told}
    missing = {"FunctionName": "f", "Qualifier": "2"}
    code, words = refusal(functions.get_runtime_management_config, **missing)
    assert (code, words) == ("ResourceNotFoundException", f"Function not found: {arn}:2")
    put = functions.put_runtime_management_config
    assert refusal(put, **missing, UpdateRuntimeOn="Auto")[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("when", ["FunctionUpdate", "Manual"])
def test_an_older_build_of_a_runtime_cannot_be_kept(
    create: Any, functions: Any, refusal: Any, when: str
) -> None:
    create()
    put = functions.put_runtime_management_config
    code, words = refusal(put, FunctionName="f", UpdateRuntimeOn=when)
    assert (code, "UpdateRuntimeOn" in words) == ("NotImplemented", True)
