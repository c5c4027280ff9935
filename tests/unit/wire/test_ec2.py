from __future__ import annotations

from typing import Any

import pytest

from fogbank.base.errors import ServiceError
from fogbank.wire.compile import codec_of
from fogbank.wire.errors import MalformedInput, UnknownOperation
from fogbank.wire.http import HttpReply, HttpRequest


def decoded(operation: str, form: str) -> dict[str, Any]:
    return codec_of("ec2").decode(operation, HttpRequest("POST", "/", "", {}, form.encode()), {})


def text(reply: HttpReply) -> str:
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


class TestRequests:
    def test_lists_are_never_wrapped_and_names_have_a_capital(self) -> None:
        form = (
            "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=2"
            "&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2&Monitoring.Enabled=true"
            "&BlockDeviceMapping.1.DeviceName=/dev/sda1&BlockDeviceMapping.1.Ebs.VolumeSize=8"
        )
        assert decoded("RunInstances", form) == {
            "ImageId": "ami-1",
            "MinCount": 1,
            "MaxCount": 2,
            "SecurityGroupIds": ["sg-1", "sg-2"],
            "Monitoring": {"Enabled": True},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
        }

    def test_a_missing_parameter_has_ec2s_own_code(self) -> None:
        with pytest.raises(ServiceError, match="must contain the parameter GroupName") as caught:
            decoded("CreateSecurityGroup", "Action=CreateSecurityGroup&GroupDescription=d")
        assert caught.value.code == "MissingParameter"

    def test_a_value_of_another_type_is_refused(self) -> None:
        with pytest.raises(MalformedInput):
            decoded("RunInstances", "ImageId=ami-1&MinCount=one&MaxCount=2")


class TestAnswers:
    def test_an_answer_has_its_id_and_no_wrapper(self) -> None:
        answer = {"Regions": [{"RegionName": "eu-1", "Endpoint": "e<"}]}
        reply = codec_of("ec2").encode("DescribeRegions", answer, "R-1")
        assert text(reply) == (
            '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15">'
            "<requestId>R-1</requestId><regionInfo><item><regionName>eu-1</regionName>"
            "<regionEndpoint>e&lt;</regionEndpoint></item></regionInfo></DescribeRegionsResponse>"
        )

    def test_an_error_is_a_list_of_one(self) -> None:
        error = type("InvalidGroup.NotFound", (ServiceError,), {})("The group 'a&b' does not exist")
        reply = codec_of("ec2").encode_error("DescribeSecurityGroups", error, "R-1")
        assert reply.status == 400
        assert text(reply) == (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            "<Code>InvalidGroup.NotFound</Code><Message>The group 'a&amp;b' does not exist"
            "</Message></Error></Errors><RequestID>R-1</RequestID></Response>"
        )

    def test_an_unknown_action_is_an_invalid_action(self) -> None:
        reply = codec_of("ec2").encode_error(None, UnknownOperation("no"), "R")
        assert (reply.status, "<Code>InvalidAction</Code>" in text(reply)) == (400, True)
