"""Tags of buckets and objects; tests/unit/services/s3/test_tag_rules.py has which may be.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3_api.snapshot.json,
TestS3BucketObjectTagging).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.s3.statements import allowing

NONE = ("NoSuchTagSet", "The TagSet does not exist")


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def tagging(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def test_tags_of_a_bucket_are_put_replaced_and_removed(s3: Any, refusal: Any) -> None:
    assert refusal(s3.get_bucket_tagging, Bucket="photos") == NONE
    put = s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(tag2="", tag1="tag1"))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    found = s3.get_bucket_tagging(Bucket="photos")
    assert found["TagSet"] == tagging(tag1="tag1", tag2="")["TagSet"]
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(tag3="tag3"))
    assert s3.get_bucket_tagging(Bucket="photos")["TagSet"] == tagging(tag3="tag3")["TagSet"]
    for _ in range(2):
        deleted = s3.delete_bucket_tagging(Bucket="photos")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_tagging, Bucket="photos") == NONE
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(a="b"))
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging())
    assert refusal(s3.get_bucket_tagging, Bucket="photos") == NONE
    assert refusal(s3.get_bucket_tagging, Bucket="nobody")[0] == "NoSuchBucket"


def test_a_bucket_has_at_most_fifty_tags(s3: Any, refusal: Any) -> None:
    fifty = {f"key{number:02}": "x" for number in range(50)}
    s3.put_bucket_tagging(Bucket="photos", Tagging=tagging(**fifty))
    assert len(s3.get_bucket_tagging(Bucket="photos")["TagSet"]) == 50
    refused = refusal(
        s3.put_bucket_tagging, Bucket="photos", Tagging=tagging(**fifty, one_more="x")
    )
    assert refused == ("BadRequest", "Bucket tag count cannot be greater than 50")


def put(s3: Any, key: str = "cat", **more: Any) -> Any:
    return s3.put_object(Bucket="photos", Key=key, Body=b"x", **more)


def found(s3: Any, key: str = "cat", **more: Any) -> Any:
    return s3.get_object_tagging(Bucket="photos", Key=key, **more)


def tag(s3: Any, key: str = "cat", tags: Any = None, **more: Any) -> Any:
    given = tagging(**(tags or {}))
    return s3.put_object_tagging(Bucket="photos", Key=key, Tagging=given, **more)


def test_tags_of_an_object_are_put_counted_replaced_and_removed(s3: Any) -> None:
    put(s3)
    assert found(s3)["TagSet"] == []
    assert "TagCount" not in s3.head_object(Bucket="photos", Key="cat")
    modified = s3.head_object(Bucket="photos", Key="cat")["LastModified"]
    assert "VersionId" not in tag(s3, tags={"tag2": "", "tag1": "tag1"})
    assert found(s3)["TagSet"] == tagging(tag1="tag1", tag2="")["TagSet"]
    assert s3.get_object(Bucket="photos", Key="cat")["TagCount"] == 2
    head = s3.head_object(Bucket="photos", Key="cat")
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
    assert head["LastModified"] == modified
    tag(s3, tags={"tag3": "tag3"})
    assert found(s3)["TagSet"] == tagging(tag3="tag3")["TagSet"]
    removed = s3.delete_object_tagging(Bucket="photos", Key="cat")
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert found(s3)["TagSet"] == []
    put(s3, Tagging="a=b")
    put(s3)
    assert found(s3)["TagSet"] == []


def test_versions_have_tags_of_their_own(s3: Any, refusal: Any) -> None:
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    old, new = (put(s3, Tagging=f"n={number}")["VersionId"] for number in "12")
    assert tag(s3, tags={"n": "3"})["VersionId"] == new
    assert tag(s3, tags={"n": "4"}, VersionId=old)["VersionId"] == old
    assert found(s3)["VersionId"] == found(s3, VersionId=new)["VersionId"] == new
    assert found(s3)["TagSet"] == tagging(n="3")["TagSet"]
    assert found(s3, VersionId=old)["TagSet"] == tagging(n="4")["TagSet"]
    s3.delete_object_tagging(Bucket="photos", Key="cat", VersionId=old)
    assert found(s3, VersionId=old)["TagSet"] == []
    assert s3.get_object(Bucket="photos", Key="cat", VersionId=old)["Body"].read() == b"x"
    marker = s3.delete_object(Bucket="photos", Key="cat")["VersionId"]
    not_allowed = "The specified method is not allowed against this resource."
    named = {"Bucket": "photos", "Key": "cat"}
    for which in ({}, {"VersionId": marker}):
        for call in (s3.get_object_tagging, s3.delete_object_tagging):
            assert refusal(call, **named, **which) == ("MethodNotAllowed", not_allowed)
        assert refusal(lambda which=which: tag(s3, **which)) == ("MethodNotAllowed", not_allowed)
    tag(s3, tags={"n": "5"}, VersionId=new)
    s3.delete_object(Bucket="photos", Key="cat", VersionId=marker)
    assert found(s3)["TagSet"] == tagging(n="5")["TagSet"]
    assert s3.delete_object(Bucket="photos", Key="cat", VersionId=new)["VersionId"] == new
    assert refusal(s3.get_object_tagging, **named, VersionId=new)[0] == "NoSuchVersion"
    assert refusal(s3.get_object_tagging, Bucket="photos", Key="dog")[0] == "NoSuchKey"


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("tag1=tag1&tag2=tag2&tag=", {"tag": "", "tag1": "tag1", "tag2": "tag2"}),
        ("wrongquery&wrongagain", {"wrongagain": "", "wrongquery": ""}),
        ("key1&&key2", {"key1": "", "key2": ""}),
        ("a%20b=%C3%9F+c", {"a b": "ß c"}),
    ],
)
def test_a_new_object_takes_its_tags_from_a_header(
    s3: Any, header: str, tags: dict[str, str]
) -> None:
    put(s3, Tagging=header)
    assert found(s3)["TagSet"] == tagging(**tags)["TagSet"]


@pytest.mark.parametrize("header", ["key1=val1&key1=val2", "key1=val1,key2=val2", "a=%ff", "{}"])
def test_a_header_that_gives_no_tags_is_refused(s3: Any, refusal: Any, header: str) -> None:
    message = (
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates."
    )
    assert refusal(lambda: put(s3, Tagging=header)) == ("InvalidArgument", message)
    many = "&".join(f"k{number}=v" for number in range(11))
    assert refusal(lambda: put(s3, Tagging=many))[0] == "BadRequest"


def test_parts_become_an_object_with_the_tags_of_their_upload(s3: Any) -> None:
    named = {"Bucket": "photos", "Key": "cat"}
    upload = s3.create_multipart_upload(**named, Tagging="Hello=World&foo=bar")["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": parts})
    assert found(s3)["TagSet"] == tagging(Hello="World", foo="bar")["TagSet"]


def test_a_copy_has_the_tags_of_its_source_or_its_own(s3: Any, refusal: Any) -> None:
    """Source: LocalStack's test_s3.snapshot.json, test_s3_copy_tagging_directive."""
    put(s3, Tagging="key1=value1")

    def copied(**more: Any) -> Any:
        s3.copy_object(Bucket="photos", Key="copy", CopySource="photos/cat", **more)
        return found(s3, "copy")["TagSet"]

    one = tagging(key1="value1")["TagSet"]
    assert copied() == copied(TaggingDirective="COPY") == one
    assert copied(Tagging="key2=value2") == one
    other = copied(TaggingDirective="REPLACE", Tagging="key2=value2")
    assert other == tagging(key2="value2")["TagSet"]
    assert copied(TaggingDirective="REPLACE") == []
    assert refusal(lambda: copied(TaggingDirective="MOVE")) == (
        "InvalidArgument",
        "Unknown tagging directive.",
    )


# Who may.


def test_tags_of_a_new_object_need_a_permission_of_their_own(
    s3: Any, limited: Any, refusal: Any
) -> None:
    writer = limited(allowing("s3:PutObject"))
    put(writer)
    assert refusal(lambda: put(writer, Tagging="a=b"))[0] == "AccessDenied"
    named = {"Bucket": "photos", "Key": "cat"}
    refused = refusal(writer.create_multipart_upload, **named, Tagging="a=b")
    assert refused[0] == "AccessDenied"
    put(limited(allowing(["s3:PutObject", "s3:PutObjectTagging"])), Tagging="a=b")
    put(s3, Tagging="a=b")
    reader = limited(allowing(["s3:PutObject", "s3:GetObject"]))
    assert "TagCount" not in reader.get_object(**named)
    source = {"Bucket": "photos", "Key": "copy", "CopySource": "photos/cat"}
    assert refusal(reader.copy_object, **source)[0] == "AccessDenied"
    reader.copy_object(**source, TaggingDirective="REPLACE")
    taggers = ["s3:PutObject", "s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging"]
    copier = limited(allowing(taggers))
    copier.copy_object(**source)
    assert copier.head_object(**named)["TagCount"] == 1


def test_policies_speak_of_the_tags_of_a_request(s3: Any, limited: Any, refusal: Any) -> None:
    put(s3)
    actions = ["s3:PutObject", "s3:PutObjectTagging"]
    by_value = limited(allowing(actions, StringEquals={"s3:RequestObjectTag/security": "public"}))
    put(by_value, Tagging="security=public&x=y")
    tag(by_value, tags={"security": "public"})
    for tags in ({"security": "secret"}, {"x": "y"}):
        assert refusal(lambda tags=tags: tag(by_value, tags=tags))[0] == "AccessDenied"
    assert refusal(lambda: put(by_value))[0] == "AccessDenied"
    keys = {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}}
    by_key = limited(allowing(actions, **keys))
    put(by_key, Tagging="a=1&b=2")
    assert refusal(lambda: put(by_key, Tagging="a=1&c=2"))[0] == "AccessDenied"


def test_a_version_needs_the_permission_for_versions(s3: Any, limited: Any, refusal: Any) -> None:
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    version = {"Bucket": "photos", "Key": "cat", "VersionId": put(s3)["VersionId"]}
    for verb, call in (
        ("Get", "get_object_tagging"),
        ("Put", "put_object_tagging"),
        ("Delete", "delete_object_tagging"),
    ):
        more = {"Tagging": tagging(a="b")} if verb == "Put" else {}
        plain = limited(allowing(f"s3:{verb}ObjectTagging"))
        assert refusal(getattr(plain, call), **version, **more)[0] == "AccessDenied"
        getattr(limited(allowing(f"s3:{verb}ObjectVersionTagging")), call)(**version, **more)


def test_a_bucket_is_made_with_tags_by_who_may_tag(limited: Any, client: Any, refusal: Any) -> None:
    """Source: Amazon S3 API Reference, CreateBucketConfiguration (Tags)."""
    given = [{"Key": "team", "Value": "red"}, {"Key": "floor", "Value": "2"}]
    made = {"Bucket": "tagged", "CreateBucketConfiguration": {"Tags": given}}
    creates = {"Effect": "Allow", "Action": "s3:CreateBucket", "Resource": "*"}
    tags = {**creates, "Action": "s3:TagResource"}
    assert refusal(limited(creates).create_bucket, **made)[0] == "AccessDenied"
    blue = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    assert refusal(limited({**creates, "Condition": blue}, tags).create_bucket, **made)[0] == (
        "AccessDenied"
    )
    red = {
        "StringEquals": {"aws:RequestTag/team": "red"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "floor"]},
    }
    limited({**creates, "Condition": red}, {**tags, "Condition": red}).create_bucket(**made)
    s3 = client("s3")
    found = s3.get_bucket_tagging(Bucket="tagged")["TagSet"]
    assert sorted(found, key=str) == sorted(given, key=str)
    twice = {"Tags": [given[0], given[0]]}
    refused = refusal(s3.create_bucket, Bucket="twice", CreateBucketConfiguration=twice)
    assert refused == ("InvalidTag", "Cannot provide multiple Tags with the same key")
    s3.create_bucket(Bucket="plain")
    assert refusal(s3.get_bucket_tagging, Bucket="plain")[0] == "NoSuchTagSet"


def test_whether_tags_of_a_bucket_are_condition_keys_is_put_and_told(s3: Any, refusal: Any) -> None:
    """What follows from it: tests/wire/s3control/test_tags.py."""
    for status in ("Disabled", "Enabled", "Enabled", "Disabled"):
        s3.put_bucket_abac(Bucket="photos", AbacStatus={"Status": status})
        assert s3.get_bucket_abac(Bucket="photos")["AbacStatus"] == {"Status": status}
    for given in ({}, {"Status": "enabled"}):
        asked = {"Bucket": "photos", "AbacStatus": given}
        assert refusal(s3.put_bucket_abac, **asked)[0] == "MalformedXML"
