"""Tags of keys: AWS KMS API Reference, TagResource and its siblings."""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.kms.conftest import statement


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]


def test_tags_are_put_replaced_listed_and_removed(kms: Any) -> None:
    key = kms.create_key(Tags=pairs(team="red", cost="1"))["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=key, Tags=pairs(team="blue", more="x"))
    assert kms.list_resource_tags(KeyId=key)["Tags"] == pairs(cost="1", more="x", team="blue")
    page = kms.list_resource_tags(KeyId=key, Limit=2)
    rest = kms.list_resource_tags(KeyId=key, Marker=page["NextMarker"])
    assert (page["Truncated"], rest["Truncated"]) == (True, False)
    assert page["Tags"] + rest["Tags"] == pairs(cost="1", more="x", team="blue")
    kms.untag_resource(KeyId=key, TagKeys=["more", "none"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == pairs(cost="1", team="blue")


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([*pairs(a="1"), *pairs(a="2")], "TagException"),
        ([{"TagKey": "aws:x", "TagValue": "1"}], "TagException"),
        ([{"TagKey": f"k{at}", "TagValue": "1"} for at in range(51)], "LimitExceededException"),
    ],
)
def test_tags_that_a_key_may_not_have_are_refused(
    kms: Any, key: str, refusal: Any, tags: Any, code: str
) -> None:
    assert refusal(kms.tag_resource, KeyId=key, Tags=tags)[0] == code
    assert refusal(kms.create_key, Tags=tags)[0] == code


def test_policies_may_speak_of_the_tags_of_a_key(kms: Any, user: Any, refusal: Any) -> None:
    """Source: Developer Guide, "ABAC for AWS KMS"."""
    red = kms.create_key(Tags=pairs(team="red"))["KeyMetadata"]["KeyId"]
    blue = kms.create_key(Tags=pairs(team="blue"))["KeyMetadata"]["KeyId"]
    condition = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    client = user("red", statement("kms:Encrypt", Condition=condition))
    client.encrypt(KeyId=red, Plaintext=b"x")
    assert refusal(client.encrypt, KeyId=blue, Plaintext=b"x")[0] == "AccessDeniedException"


def test_policies_may_speak_of_the_tags_that_a_request_gives(
    kms: Any, key: str, user: Any, refusal: Any
) -> None:
    condition = {"StringEquals": {"aws:RequestTag/team": "red"}}
    actions = ["kms:CreateKey", "kms:TagResource"]
    client = user("red", statement(actions, Condition=condition))
    client.create_key(Tags=pairs(team="red"))
    client.tag_resource(KeyId=key, Tags=pairs(team="red"))
    assert refusal(client.create_key, Tags=pairs(team="blue"))[0] == "AccessDeniedException"
    assert refusal(client.create_key)[0] == "AccessDeniedException"
    said = refusal(client.tag_resource, KeyId=key, Tags=pairs(team="blue"))
    assert said[0] == "AccessDeniedException"
    untag = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    other = user("untag", statement("kms:UntagResource", Condition=untag))
    assert refusal(other.untag_resource, KeyId=key, TagKeys=["x"])[0] == "AccessDeniedException"
    other.untag_resource(KeyId=key, TagKeys=["team"])


def test_tags_at_birth_need_leave_to_tag(user: Any, refusal: Any) -> None:
    """Source: API Reference, CreateKey, ``Tags``: kms:TagResource is required."""
    client = user("half", statement("kms:CreateKey"))
    client.create_key()
    assert "kms:TagResource" in refusal(client.create_key, Tags=pairs(a="1"))[1]
