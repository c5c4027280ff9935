from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.wire.application_autoscaling.conftest import OF_TABLE

from fogbank.testing.cloud import Cloud


def test_targets_are_tagged_when_they_are_registered_and_afterwards(
    scaling: Any, table: str, register: Callable[..., str], refusal: Any
) -> None:
    assert table == "tab"
    arn = register(Tags={"a": "1", "b": "2"})
    scaling.tag_resource(ResourceARN=arn, Tags={"b": "3", "c": ""})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["a", "none"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"b": "3", "c": ""}
    code, message = refusal(scaling.register_scalable_target, **OF_TABLE, Tags={"d": "4"})
    assert code == "ValidationException"
    assert message.startswith("The scalable target that you tried to tag already exists.")


def test_tags_have_bounds_and_belong_to_targets_that_stand(
    scaling: Any, table: str, register: Callable[..., str], cloud: Cloud, refusal: Any
) -> None:
    assert table == "tab"
    arn = register()
    many = {f"k{number}": "v" for number in range(51)}
    assert refusal(scaling.tag_resource, ResourceARN=arn, Tags=many)[0] == "TooManyTagsException"
    reserved = {"ResourceARN": arn, "Tags": {"aws:x": "v"}}
    assert refusal(scaling.tag_resource, **reserved)[0] == "ValidationException"
    none = f"{arn[:-4]}0000"
    other = cloud.client("application-autoscaling", region="eu-west-1")
    for client, given in ((scaling, none), (other, arn)):
        code, message = refusal(client.list_tags_for_resource, ResourceARN=given)
        assert (code, message) == ("ResourceNotFoundException", "Scalable Target not found")
