from __future__ import annotations

import pytest

from fogbank.contract.action import Scope


@pytest.mark.parametrize(
    ("region_set", "region", "reached"),
    [
        ((), "eu-west-1", True),
        ((), "us-east-1", False),
        (("*",), "us-east-1", True),
        (("us-east-1",), "us-east-1", True),
        (("us-east-1",), "eu-west-1", False),
        (("us-west-*",), "us-west-2", True),
        (("us-west-*",), "us-east-1", False),
        (("us-*-1", "ap-south-1"), "us-east-1", True),
        (("us-*-1", "ap-south-1"), "ap-south-1", True),
        (("us-*-1",), "us-1", False),
        (("us-*-*-1",), "us-east-1", False),
        (("us-*st*-1",), "us-east-1", True),
        (("us-*-1*1",), "us-east-1", False),
    ],
)
def test_a_scope_reaches_its_region_or_what_its_set_names(
    region_set: tuple[str, ...], region: str, *, reached: bool
) -> None:
    assert Scope("1" * 12, "eu-west-1", "", region_set).reaches(region) is reached
