from __future__ import annotations

import pytest
from botocore.session import Session

from fogbank.base.arn import PARTITIONS, partition_of
from fogbank.wire.regions import first_region, global_region, is_region, regions


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


@pytest.mark.parametrize(
    ("partition", "region"), [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
)
def test_a_global_service_has_one_region_in_each_partition(partition: str, region: str) -> None:
    assert global_region("iam", partition) == first_region(partition) == region


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_partition_has_a_first_region_of_its_own(partition: str) -> None:
    assert regions()[first_region(partition)] == partition


def test_the_name_of_a_region_says_its_partition_as_published() -> None:
    assert {region: partition_of(region) for region in regions()} == dict(regions())
    assert set(regions().values()) == set(PARTITIONS)
