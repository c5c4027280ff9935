"""The rules for names without a region: AWS's own global endpoints, and ours, which serve all."""

from __future__ import annotations

import pytest
from tests.unit.gateway.stub import Gate


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
    for region in ("us-east-1", "ap-south-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"):
        reply, text = gate.handle(gate.request(service, region=region))
        assert reply.status == 200, text
        assert gate.stub.calls[-1][0].region == region
