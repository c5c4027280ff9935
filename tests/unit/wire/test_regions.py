from __future__ import annotations

import pytest
from botocore.session import Session

from fogbank.wire.regions import global_region, is_region, regions


def test_every_published_region_is_one() -> None:
    session = Session()
    for partition in session.get_available_partitions():
        for service in ("s3", "dynamodb", "sts"):
            for region in session.get_available_regions(service, partition):
                assert is_region(region), region
    assert regions()["eu-west-1"] == "aws"
    assert regions()["cn-north-1"] == "aws-cn"


@pytest.mark.parametrize("name", ["", "aws-global", "us-east-9", "US-EAST-1", "us-east-1a", "*"])
def test_what_is_not_published_is_no_region(name: str) -> None:
    assert not is_region(name)


@pytest.mark.parametrize(
    ("prefix", "region"), [("iam", "us-east-1"), ("sts", ""), ("s3", ""), ("dynamodb", "")]
)
def test_a_global_service_has_one_region(prefix: str, region: str) -> None:
    assert global_region(prefix) == region
