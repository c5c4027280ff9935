"""Browser uploads: forms that are posted to a bucket, their policies, and what their clients hear.

Sources: Amazon S3 API Reference, "Browser-Based Uploads Using POST (AWS Signature Version 4)", "POST
Policy" and "POST Object"; RFC 7578.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from fogbank.server.config import Config, S3Settings
from fogbank.testing.cloud import Cloud
from fogbank.wire import sigv2
from fogbank.wire.http import HttpReply, HttpRequest

BOUNDARY = "the-boundary"
EXPIRES = "2099-01-01T00:00:00Z"
LARGE = bytes(range(256)) * 10_000


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Return a cloud that takes signatures of version 2 too."""
    with Cloud(config=Config(s3=S3Settings(signature_v2=True)), replay=True) as made:
        yield made


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    # boto3 signs forms by version 2 unless told otherwise.
    made = cloud.client("s3", config=ClientConfig(signature_version="s3v4"))
    made.create_bucket(Bucket="photos")
    return made


def encoded(fields: dict[str, str], file: bytes | None, filename: str = "a.txt") -> bytes:
    """Return a form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file is not None:
        head = f'form-data; name="file"; filename="{filename}"\r\nContent-Type: text/html'
        parts.append(
            f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode() + file + b"\r\n"
        )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


Post = Callable[..., tuple[HttpReply, bytes]]


class Stream:
    """A body that comes in small pieces."""

    def __init__(self, content: bytes, piece: int) -> None:
        self.content, self.piece, self.at = content, piece, 0
        self.length = len(content)

    async def read(self, limit: int) -> bytes:
        begin, self.at = self.at, self.at + min(limit, self.piece)
        return self.content[begin : self.at]


@pytest.fixture
def post(cloud: Cloud) -> Post:
    """Return what posts a form to a bucket."""

    def posted(
        fields: dict[str, str], file: bytes | None = b"bytes", piece: int = 0, **more: Any
    ) -> tuple[HttpReply, bytes]:
        headers = {
            "host": "localhost:4566",
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        body = encoded(fields, file, **more)
        request = HttpRequest("POST", "/photos", "", headers, body)
        if piece:
            request = HttpRequest("POST", "/photos", "", headers, stream=Stream(body, piece))
        return cloud.handle(request)

    return posted


@pytest.fixture
def signed(cloud: Cloud) -> Callable[..., dict[str, str]]:
    """Return what makes the fields of a form under a policy, signed by version 2."""

    def fields(*conditions: Any, key: str = "foo.txt", **more: Any) -> dict[str, str]:
        document = {"expiration": EXPIRES, "conditions": [{"bucket": "photos"}, *conditions]}
        return proved(cloud, document, key=key, **more)

    return fields


def proved(cloud: Cloud, document: Any, **fields: str) -> dict[str, str]:
    """Return fields with a policy and its signature of version 2."""
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    keys = cloud.account
    return {
        "AWSAccessKeyId": keys.access_key_id,
        "policy": policy,
        "signature": sigv2.signature_of(keys.secret_access_key, policy),
        **{
            name.replace("_", "-") if name.startswith("x_") else name: value
            for name, value in fields.items()
        },
    }


def read(s3: Any, key: str = "foo.txt") -> bytes:
    return s3.get_object(Bucket="photos", Key=key)["Body"].read()


def refusal(answer: tuple[HttpReply, bytes]) -> tuple[int, str, str]:
    reply, body = answer
    error = fromstring(body)
    return reply.status, error.findtext("Code") or "", error.findtext("Message") or ""


KEY = ["starts-with", "$key", "foo"]


@pytest.mark.parametrize("piece", [0, 1, 7, 100_000])
@pytest.mark.parametrize("body", [b"", b"bytes", b"\r\n--the-boundar\r\n--", LARGE])
def test_a_form_that_boto3_signed_stores_its_file(
    s3: Any, post: Post, body: bytes, piece: int
) -> None:
    """However its bytes come: the delimiter may be in any number of pieces."""
    if piece in (1, 7):
        body = body[:1_000]
    made = s3.generate_presigned_post(
        "photos",
        "foo.txt",
        Fields={"Content-Type": "text/plain", "x-amz-meta-Camera": "x100"},
        Conditions=[["starts-with", "$Content-Type", "text/"], {"x-amz-meta-camera": "x100"}],
    )
    reply, _ = post(made["fields"], body, piece)
    assert reply.status == 204
    got = s3.get_object(Bucket="photos", Key="foo.txt")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"camera": "x100"})
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert dict(reply.headers)["ETag"] == f'"{etag}"'


def test_a_form_of_version_2_is_taken_where_that_is_turned_on(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    assert post(signed(KEY))[0].status == 204
    assert read(s3) == b"bytes"


def test_a_form_of_version_2_is_refused_otherwise(
    cloud: Cloud, s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    cloud.app.dispatcher._forms._takes_older = False
    assert refusal(post(signed(KEY)))[:2] == (400, "InvalidRequest")


def test_names_of_fields_are_the_same_in_any_case(s3: Any, post: Post, cloud: Cloud) -> None:
    document = {
        "expiration": EXPIRES,
        "conditions": [{"bUcKeT": "photos"}, ["StArTs-WiTh", "$KeY", "foo"]],
    }
    fields = proved(cloud, document, kEy="foo.txt")
    fields["pOLICy"] = fields.pop("policy")
    assert post(fields)[0].status == 204
    assert read(s3) == b"bytes"


def test_the_name_of_the_file_goes_where_the_form_says(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    """Its last element: some browsers send a path."""
    fields = signed(KEY, key="foo/${filename}")
    assert post(fields, filename="C:\\\\temp\\\\me.txt")[0].status == 204
    assert read(s3, "foo/me.txt") == b"bytes"


def test_answers_are_as_the_form_asks(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    any_status = ["starts-with", "$success_action_status", ""]
    for asked, status in (("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)):
        reply, body = post(signed(KEY, any_status, success_action_status=asked))
        assert reply.status == status
        assert dict(reply.headers)["location"] == "http://localhost:4566/photos/foo.txt"
        if status == 201:
            told = fromstring(body)
            assert [each.tag for each in told] == ["Location", "Bucket", "Key", "ETag"]
            assert told.findtext("Key") == "foo.txt"
        else:
            assert body == b""


def test_a_form_may_send_its_client_on(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    anywhere = ["starts-with", "$success_action_redirect", ""]
    etag = hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()
    for url, mark in (("http://x.example/a", "?"), ("http://x.example/a?b=c", "&")):
        reply, _ = post(signed(KEY, anywhere, success_action_redirect=url))
        told = f"bucket=photos&key=foo.txt&etag=%22{etag}%22"
        assert (reply.status, dict(reply.headers)["location"]) == (303, f"{url}{mark}{told}")
    for useless in ("javascript:alert(1)", "/relative", "http://x.example/\r\nset-cookie: a"):
        reply, _ = post(signed(KEY, anywhere, success_action_redirect=useless))
        assert reply.status == 204


def test_tags_of_a_form_are_the_object_s(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    xml = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c+d</Value></Tag></TagSet></Tagging>"
    assert post(signed(KEY, ["starts-with", "$tagging", ""], tagging=xml))[0].status == 204
    tags = s3.get_object_tagging(Bucket="photos", Key="foo.txt")["TagSet"]
    assert tags == [{"Key": "a b", "Value": "c+d"}]
    broken = signed(KEY, ["starts-with", "$tagging", ""], tagging="<Tag")
    assert refusal(post(broken))[:2] == (400, "MalformedXML")


def test_a_checksum_of_a_form_is_verified(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    right = base64.b64encode(hashlib.sha256(b"bytes").digest()).decode()
    assert post(signed(KEY, **{"x-amz-checksum-sha256": right}))[0].status == 204
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    assert refusal(post(signed(KEY, **{"x-amz-checksum-sha256": wrong})))[:2] == (400, "BadDigest")


def test_an_acl_of_a_form_counts_as_one_of_a_put(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    """Where the bucket's owner owns everything no other is taken (PutObject, ``x-amz-acl``)."""
    for acl, status in (("private", 400), ("bucket-owner-full-control", 204)):
        assert post(signed(KEY, {"acl": acl}, acl=acl))[0].status == status


@pytest.mark.parametrize(
    ("conditions", "fields", "why"),
    [
        ([["eq", "$key", "foo.txt"]], {"key": "foo2.txt"}, "Policy Condition failed"),
        ([["starts-with", "$key", "bar"]], {}, 'failed: ["starts-with", "$key", "bar"]'),
        ([KEY, {"x-amz-meta-a": "b"}], {}, "Policy Condition failed"),
        ([KEY], {"x-amz-meta-a": "b"}, "Extra input fields: x-amz-meta-a"),
        (
            [KEY, ["starts-with", "$Content-Type", "image/"]],
            {"Content-Type": "image/a, text/b"},
            "failed",
        ),
        ([{"bucket": "other"}, KEY], {}, "Policy Condition failed"),
    ],
)
def test_what_the_policy_does_not_allow_is_denied(
    s3: Any,
    post: Post,
    signed: Callable[..., dict[str, str]],
    conditions: list[Any],
    fields: dict[str, str],
    why: str,
) -> None:
    status, code, message = refusal(post({**signed(*conditions), **fields}))
    assert (status, code) == (403, "AccessDenied")
    assert message.startswith("Invalid according to Policy: ")
    assert why in message


def test_a_field_that_may_be_anything_may_be_left_out(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    assert post(signed(KEY, ["starts-with", "$x-amz-meta-a", ""]))[0].status == 204


def test_fields_that_are_to_be_ignored_need_no_condition(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    assert post(signed(KEY, **{"x-ignore-this": "x"}))[0].status == 204


@pytest.mark.parametrize(
    ("size", "code"),
    [(4, "EntityTooSmall"), (5, ""), (1_000_000, ""), (1_000_001, "EntityTooLarge")],
)
def test_the_length_of_the_file_is_bounded_by_the_policy(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]], size: int, code: str
) -> None:
    answer = post(signed(KEY, ["content-length-range", 5, 1_000_000]), bytes(size), 90_000)
    if not code:
        assert answer[0].status == 204
        return
    assert refusal(answer)[:2] == (400, code)
    with pytest.raises(ClientError):
        s3.head_object(Bucket="photos", Key="foo.txt")


def test_a_policy_that_is_over_is_denied(s3: Any, post: Post, cloud: Cloud) -> None:
    document = {"expiration": "2001-01-01T00:00:00.000Z", "conditions": [{"bucket": "photos"}, KEY]}
    answer = refusal(post(proved(cloud, document, key="foo.txt")))
    assert answer == (403, "AccessDenied", "Invalid according to Policy: Policy expired.")


@pytest.mark.parametrize(
    "document",
    [
        "no object",
        [],
        {"conditions": []},
        {"expiration": EXPIRES},
        {"EXPIRATION": EXPIRES, "conditions": []},
        {"expiration": "2099-01-01 00:00:00", "conditions": []},
        {"expiration": "2099-13-01T00:00:00Z", "conditions": []},
        {"expiration": EXPIRES, "CONDITIONS": []},
        {"expiration": EXPIRES, "conditions": {}},
        {"expiration": EXPIRES, "conditions": [{}]},
        {"expiration": EXPIRES, "conditions": [{"a": "b", "c": "d"}]},
        {"expiration": EXPIRES, "conditions": [{"a": 1}]},
        {"expiration": EXPIRES, "conditions": [["eq", "$key"]]},
        {"expiration": EXPIRES, "conditions": [["eq", "key", "v"]]},
        {"expiration": EXPIRES, "conditions": [["ends-with", "$key", "v"]]},
        {"expiration": EXPIRES, "conditions": [["content-length-range", 0]]},
        {"expiration": EXPIRES, "conditions": [["content-length-range", "a", "b"]]},
        {"expiration": EXPIRES, "conditions": ["x"]},
    ],
)
def test_a_document_that_is_no_policy_is_said_to_be_none(
    s3: Any, post: Post, cloud: Cloud, document: Any
) -> None:
    status, code, _ = refusal(post(proved(cloud, document, key="foo.txt")))
    assert (status, code) == (400, "InvalidPolicyDocument")


def test_proofs_that_do_not_hold_are_refused(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]]
) -> None:
    good = signed(KEY)
    wrong = {**good, "signature": good["signature"][::-1]}
    assert refusal(post(wrong))[:2] == (403, "SignatureDoesNotMatch")
    stranger = {**good, "AWSAccessKeyId": "AKIA00000000EXAMPLE0"}
    assert refusal(post(stranger))[:2] == (403, "InvalidAccessKeyId")
    modern = s3.generate_presigned_post("photos", "foo.txt")["fields"]
    forged = {**modern, "x-amz-signature": "0" * 64}
    assert refusal(post(forged))[:2] == (403, "SignatureDoesNotMatch")
    elsewhere = modern["x-amz-credential"].replace("us-east-1", "eu-west-1")
    moved = {**modern, "x-amz-credential": elsewhere}
    assert refusal(post(moved))[:2] == (403, "SignatureDoesNotMatch")
    cut = {**modern, "x-amz-credential": elsewhere.removesuffix("/aws4_request")}
    assert refusal(post(cut))[:2] == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("name", ["key", "policy", "signature"])
def test_a_field_that_is_missing_is_named(
    s3: Any, post: Post, signed: Callable[..., dict[str, str]], name: str
) -> None:
    fields = signed(KEY)
    del fields[name]
    status, code, message = refusal(post(fields))
    assert (status, code) == (400, "InvalidArgument")
    assert f"a field named '{name}'" in message


def test_nobody_posts_to_a_bucket_that_is_not_open(s3: Any, post: Post) -> None:
    assert refusal(post({"key": "foo.txt"}))[:2] == (403, "AccessDenied")


def test_a_user_posts_what_its_policies_allow(s3: Any, post: Post, cloud: Cloud) -> None:
    allowed = {
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::photos/mine/*",
    }
    user = cloud.create_user("u", {"Version": "2012-10-17", "Statement": [allowed]})
    client = cloud.client("s3", credential=user, config=ClientConfig(signature_version="s3v4"))
    for key, status in (("mine/a", 204), ("yours/a", 403)):
        assert post(client.generate_presigned_post("photos", key)["fields"])[0].status == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedPOSTRequest"),
        (b"no form at all", "MalformedPOSTRequest"),
        (b"--the-boundary\r\n\r\nno name\r\n--the-boundary--\r\n", "MalformedPOSTRequest"),
        (b"--the-boundary and more\r\n", "MalformedPOSTRequest"),
        (encoded({"key": "k"}, b"bytes")[:-30], "MalformedPOSTRequest"),
        (encoded({"key": "k"}, None), "InvalidArgument"),
        (encoded({"key": "k" * 30_000}, b"bytes"), "MaxPostPreDataLengthExceeded"),
    ],
)
def test_bytes_that_are_no_form_are_refused(s3: Any, cloud: Cloud, body: bytes, code: str) -> None:
    s3.create_bucket(Bucket="public")
    headers = {
        "host": "localhost:4566",
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    answer = cloud.handle(HttpRequest("POST", "/photos", "", headers, body))
    assert refusal(answer)[1] in (code, "AccessDenied")
    if code != "MalformedPOSTRequest" or len(body) < 100:
        assert refusal(answer)[:2] == (400, code)
