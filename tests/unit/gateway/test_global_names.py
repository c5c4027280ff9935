"""The rules for names without a region: AWS's own global endpoints, and ours, which serve all."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.gateway.stub import ACCOUNT, Gate

from fogbank.wire.regions import regions


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_a_global_endpoint_of_aws_wants_the_region_of_all(gate: Gate, service: str) -> None:
    endpoint = f"http://{service}.amazonaws.com"
    assert gate.handle(gate.request(service, endpoint=endpoint))[0].status == 200
    status, code, message = gate.refusal(
        gate.request(service, endpoint=endpoint, region="eu-west-1")
    )
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert message == "Credential should be scoped to a valid region, not 'eu-west-1'. "


@pytest.mark.parametrize("endpoint", ["http://localhost:4566", "http://iam.localhost:4566"])
def test_iam_is_asked_in_us_east_1_wherever_it_is_signed_for(gate: Gate, endpoint: str) -> None:
    reply, text = gate.handle(gate.request("iam", endpoint=endpoint, region="eu-west-1"))
    assert reply.status == 200, text
    call = gate.stub.calls[-1][0]
    assert call.region == "us-east-1"
    assert call.access_context["aws:RequestedRegion"] == "us-east-1"


def test_a_regional_endpoint_of_sts_serves_its_region(gate: Gate) -> None:
    endpoint = "http://sts.eu-west-1.localhost:4566"
    assert gate.handle(gate.request("sts", endpoint=endpoint, region="eu-west-1"))[0].status == 200
    assert gate.stub.calls[-1][0].region == "eu-west-1"
    assert gate.refusal(gate.request("sts", endpoint=endpoint))[1] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("service", ["dynamodb", "logs", "lambda", "s3", "sts"])
def test_one_address_serves_every_region(gate: Gate, service: str) -> None:
    for region in ("us-east-1", "ap-south-1", "eu-west-1"):
        reply, text = gate.handle(gate.request(service, region=region))
        assert reply.status == 200, text
        assert gate.stub.calls[-1][0].region == region


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_a_key_is_unknown_in_the_regions_of_another_partition(gate: Gate, region: str) -> None:
    assert gate.refusal(gate.request("dynamodb", region=region))[1] == "UnrecognizedClientException"
    assert gate.refusal(gate.request("s3", region=region))[1] == "InvalidAccessKeyId"
    assert not gate.stub.calls
    there = {"account_id": "111122223333", "partition": regions()[region]}
    other = asyncio.run(gate.identity.create_account("there", **there))
    keys = {"key_id": other.access_key_id, "secret": other.secret_access_key}
    for service in ("dynamodb", "logs", "lambda", "s3", "sts"):
        reply, text = gate.handle(gate.request(service, region=region, **keys))
        assert reply.status == 200, text
        call = gate.stub.calls[-1][0]
        assert (call.region, call.scope.partition) == (region, regions()[region])
    assert gate.refusal(gate.request("dynamodb", **keys))[1] == "UnrecognizedClientException"


def test_iam_of_another_partition_is_asked_in_its_own_region(gate: Gate) -> None:
    other = asyncio.run(gate.identity.create_account("cn", partition="aws-cn"))
    keys = {"key_id": other.access_key_id, "secret": other.secret_access_key}
    request = gate.request("iam", region="cn-northwest-1", **keys)
    assert gate.handle(request)[0].status == 200
    assert gate.stub.calls[-1][0].region == "cn-north-1"
    endpoint = "http://iam.amazonaws.com.cn"
    request = gate.request("iam", endpoint=endpoint, region="cn-north-1", **keys)
    assert gate.handle(request)[0].status == 200
    request = gate.request("iam", endpoint=endpoint, region="cn-northwest-1", **keys)
    assert gate.refusal(request)[1] == "SignatureDoesNotMatch"


def test_an_account_based_host_is_for_its_account_alone(gate: Gate) -> None:
    """Amazon DynamoDB Developer Guide, "Account-based endpoints"."""
    own, other = (f"http://{account}.ddb.us-east-1.localhost" for account in (ACCOUNT, "1" * 12))
    assert gate.handle(gate.request("dynamodb", endpoint=own))[0].status == 200
    assert gate.refusal(gate.request("dynamodb", endpoint=other))[:2] == (
        400,
        "AccessDeniedException",
    )
    assert len(gate.stub.calls) == 1
    # Who proves nothing hears nothing of whose key it is.
    forged = gate.request("dynamodb", endpoint=other, secret="wrong" * 8)
    assert gate.refusal(forged)[1] == "InvalidSignatureException"
