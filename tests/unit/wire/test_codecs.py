"""Codecs: what botocore does not tell us: S3's shapes of things, errors, leniency and damage."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.base.errors import NotBuilt, ServiceError
from fogbank.wire.checksums import digest_of, text_of
from fogbank.wire.compile import UnsupportedProtocol, codec_of
from fogbank.wire.errors import MalformedInput, SerializationException, UnknownOperation
from fogbank.wire.http import HttpReply, HttpRequest
from fogbank.wire.model import UnknownService, load

S3_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def _decoded(service: str, operation: str, body: bytes, **rest: Any) -> dict[str, Any]:
    request = HttpRequest(
        "POST", "/", rest.pop("query", ""), rest.pop("headers", {}), body, rest.pop("stream", None)
    )
    return codec_of(service).decode(operation, request, rest.pop("params", {}))


def _text(reply: HttpReply) -> str:
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


class NoSuchKey(ServiceError):
    pass


class ResourceNotFoundException(ServiceError):
    pass


class TestS3:
    def test_a_small_body_is_bytes_and_a_large_one_the_stream(self) -> None:
        params = {"Bucket": "b", "Key": "k"}
        small = _decoded("s3", "PutObject", b"bytes", params=params)
        assert small["Body"] == b"bytes"
        stream = object()
        large = _decoded("s3", "PutObject", b"", params=params, stream=stream)
        assert large["Body"] is stream

    @pytest.mark.parametrize(
        ("operation", "document"),
        [
            ("DeleteObjects", b"<Delete>%s<Object>%s<Key>k</Key></Object></Delete>"),
            ("CompleteMultipartUpload", b"<CompleteMultipartUpload>%s<Part>%s</Part></>"),
            ("PutBucketTagging", b"<Tagging>%s<TagSet>%s<Tag><Key>k</Key></Tag></TagSet></>"),
            ("CreateBucket", b"<CreateBucketConfiguration>%s<Location>%s</Location></>"),
        ],
    )
    def test_a_document_holds_what_the_schema_has_and_nothing_else(
        self, operation: str, document: bytes
    ) -> None:
        """Amazon S3 API Reference, "Error responses": MalformedXML, "did not validate against our
        published schema"."""
        params = {"Bucket": "b", "Key": "k"}
        root = document[1 : document.index(b">")]
        document = document.replace(b"</>", b"</" + root + b">")
        if operation == "PutBucketTagging":
            document = document.replace(b"</Key>", b"</Key><Value>v</Value>")

        def decoded(*inside: bytes) -> Any:
            body = document % inside
            headers = {"content-md5": text_of(digest_of("MD5", body))}
            found = _decoded(
                "s3", operation, body, query="uploadId=u", params=params, headers=headers
            )
            return {name: value for name, value in found.items() if name != "ContentMD5"}

        plain = decoded(b"", b"")
        assert decoded(b"\n <!-- a comment -->", b"  ") == plain
        like_a_tag = b"<Odd><Key>k</Key><Value>v</Value></Odd>"
        for inside in ((b"<Odd/>", b""), (b"", b"<Odd>x</Odd>"), (b"", like_a_tag)):
            with pytest.raises(ServiceError) as caught:
                decoded(*inside)
            assert caught.value.code == "MalformedXML"

    def test_other_services_ignore_what_they_do_not_know(self) -> None:
        body = b"<CreateHostedZoneRequest><Name>n</Name><CallerReference>r</CallerReference><Odd/>"
        found = _decoded("route53", "CreateHostedZone", body + b"</CreateHostedZoneRequest>")
        assert found == {"Name": "n", "CallerReference": "r"}

    def test_an_upload_says_how_long_it_is(self) -> None:
        params = {"Bucket": "b", "Key": "k"}
        with pytest.raises(ServiceError) as caught:
            _decoded("s3", "PutObject", b"", params=params)
        assert (caught.value.code, caught.value.status) == ("MissingContentLength", 411)
        empty = _decoded("s3", "PutObject", b"", params=params, headers={"content-length": "0"})
        assert empty["Body"] == b""
        assert _decoded("s3", "PutObjectAcl", b"", params=params) == params

    def test_metadata_is_what_has_the_prefix(self) -> None:
        headers = {
            "content-length": "0",
            "x-amz-meta-color": "blue",
            "x-amz-meta-": "",
            "x-amz-acl": "private",
        }
        got = _decoded("s3", "PutObject", b"", headers=headers, params={"Bucket": "b", "Key": "k"})
        assert got["Metadata"] == {"color": "blue", "": ""}
        assert got["ACL"] == "private"

    @pytest.mark.parametrize(
        ("operation", "headers", "query", "code", "message"),
        [
            (
                "ListObjects",
                {},
                "max-keys=abc",
                "InvalidArgument",
                "Provided max-keys not an integer or within integer range",
            ),
            (
                "ListObjects",
                {},
                f"max-keys={2**31}",
                "InvalidArgument",
                "Provided max-keys not an integer or within integer range",
            ),
            (
                "ListObjects",
                {},
                "encoding-type=x",
                "InvalidArgument",
                "Invalid Encoding Method specified in Request",
            ),
            (
                "PutObject",
                {"x-amz-storage-class": "COLDER"},
                "",
                "InvalidStorageClass",
                "The storage class you specified is not valid",
            ),
            ("PutObject", {"x-amz-acl": "mine"}, "", "InvalidArgument", ""),
        ],
    )
    def test_bad_headers_and_queries_are_refused(
        self, operation: str, headers: dict[str, str], query: str, code: str, message: str
    ) -> None:
        with pytest.raises(ServiceError) as caught:
            _decoded(
                "s3",
                operation,
                b"",
                headers=headers,
                query=query,
                params={"Bucket": "b", "Key": "k"},
            )
        assert caught.value.code == code
        assert message in caught.value.message

    def test_an_unreadable_condition_counts_as_absent(self) -> None:
        headers = {"if-modified-since": "whenever", "if-none-match": '"x"'}
        got = _decoded("s3", "GetObject", b"", headers=headers, params={"Bucket": "b", "Key": "k"})
        assert got == {"Bucket": "b", "Key": "k", "IfNoneMatch": '"x"'}

    @pytest.mark.parametrize(
        ("operation", "body", "code"),
        [
            ("PutBucketVersioning", b"", "MissingRequestBodyError"),
            ("PutBucketVersioning", b"<Other/>", "MalformedXML"),
            (
                "PutBucketVersioning",
                b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
                "MalformedXML",
            ),
            ("PutBucketTagging", b"<Tagging/>", "MalformedXML"),
            (
                "PutBucketTagging",
                b"<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>",
                "MalformedXML",
            ),
            (
                "PutBucketAcl",
                (
                    b"<AccessControlPolicy><AccessControlList><Grant><Permission>ALL</Permission>"
                    b"</Grant></AccessControlList></AccessControlPolicy>"
                ),
                "MalformedACLError",
            ),
            (
                "CompleteMultipartUpload",
                (
                    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part>"
                    b"</CompleteMultipartUpload>"
                ),
                "MalformedXML",
            ),
        ],
    )
    def test_bad_documents_are_refused(self, operation: str, body: bytes, code: str) -> None:
        with pytest.raises(ServiceError) as caught:
            _decoded(
                "s3",
                operation,
                body,
                query="uploadId=1",
                params={"Bucket": "b", "Key": "k"},
                headers={"content-md5": text_of(digest_of("MD5", body))},
            )
        assert caught.value.code == code

    def test_a_listing_has_s3s_root_namespace_and_milliseconds(self) -> None:
        reply = codec_of("s3").encode(
            "ListObjectsV2",
            {
                "Name": "b",
                "IsTruncated": False,
                "Contents": [
                    {"Key": "a<b>&]]>\r\x01", "LastModified": 1767323045000, "Size": 3},
                ],
                "CommonPrefixes": [{"Prefix": "p/"}, {"Prefix": "q/"}],
                "NextContinuationToken": None,
            },
            "REQUEST1",
        )
        assert _text(reply) == (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<ListBucketResult {S3_NAMESPACE}><IsTruncated>false</IsTruncated>"
            "<Contents><Key>a&lt;b&gt;&amp;]]&gt;&#xd;&#x1;</Key>"
            "<LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>3</Size></Contents>"
            "<Name>b</Name>"
            "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
            "<CommonPrefixes><Prefix>q/</Prefix></CommonPrefixes></ListBucketResult>"
        )
        headers = dict(reply.headers)
        assert headers["x-amz-request-id"] == "REQUEST1"
        assert headers["x-amz-id-2"]

    def test_a_location_is_the_text_of_its_root(self) -> None:
        codec = codec_of("s3")
        somewhere = codec.encode("GetBucketLocation", {"LocationConstraint": "eu-west-1"}, "R")
        assert _text(somewhere).endswith(
            f"<LocationConstraint {S3_NAMESPACE}>eu-west-1</LocationConstraint>"
        )
        assert "></LocationConstraint>" in _text(codec.encode("GetBucketLocation", {}, "R"))

    def test_grantees_carry_their_type_as_an_attribute(self) -> None:
        grant = {"Grantee": {"Type": "Group", "URI": 'http://x/"y'}, "Permission": "READ"}
        text = _text(codec_of("s3").encode("GetBucketAcl", {"Grants": [grant]}, "R"))
        assert (
            '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">'
            in text
        )

    def test_an_iterator_is_passed_on_with_its_length(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"never read here"

        body = chunks()
        reply = codec_of("s3").encode("GetObject", {"Body": body, "ContentLength": 7}, "R")
        assert (reply.body, reply.length) == (body, 7)
        assert "content-length" not in {name.lower() for name, _ in reply.headers}

    def test_a_head_tells_the_length_of_what_it_does_not_send(self) -> None:
        reply = codec_of("s3").encode("HeadObject", {"ContentLength": 7}, "R")
        assert (reply.body, reply.length) == (b"", 7)

    def test_no_value_breaks_out_of_its_header(self) -> None:
        reply = codec_of("s3").encode(
            "HeadObject", {"ContentType": "a\r\nx-evil: 1", "Metadata": {"k\r\n": "v\n\0w"}}, "R"
        )
        assert ("Content-Type", "a x-evil: 1") in reply.headers
        assert ("x-amz-meta-k", "v w") in reply.headers

    def test_an_error_has_s3s_form(self) -> None:
        error = NoSuchKey("The specified key does not exist.", Key="a&b")
        reply = codec_of("s3").encode_error("GetObject", error, "REQUEST1")
        assert reply.status == 404
        assert _text(reply).startswith(
            '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
            "<Message>The specified key does not exist.</Message><Key>a&amp;b</Key>"
            "<RequestId>REQUEST1</RequestId><HostId>"
        )

    def test_an_error_of_a_head_and_not_modified_have_no_body(self) -> None:
        codec = codec_of("s3")
        assert codec.encode_error("HeadObject", NoSuchKey("x"), "R").body == b""
        not_modified = type("NotModified", (ServiceError,), {})("Not Modified", ETag='"x"')
        assert codec.encode_error("GetObject", not_modified, "R").status == 304

    def test_what_is_not_built_says_so(self) -> None:
        reply = codec_of("s3").encode_error("GetBucketAcl", NotBuilt.operation("s3", "X"), "R")
        assert reply.status == 501
        assert "<Code>NotImplemented</Code>" in _text(reply)


class TestJson:
    @pytest.mark.parametrize(
        ("item", "message"),
        [
            ({"S": True}, "TRUE_VALUE cannot be converted to String"),
            ({"S": 1}, "NUMBER_VALUE cannot be converted to String"),
            ({"N": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
            ({"S": []}, "Unrecognized collection type class java.lang.String"),
            ({"S": {}}, "Start of structure or map found where not expected"),
            ({"B": 1}, "only base-64-encoded strings are convertible to bytes"),
            (
                {"B": "23456"},
                "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
            ),
            ({"B": "=+/="}, "Invalid last non-pad Base64 character dectected"),
            ({"B": "+/+="}, "Invalid last non-pad Base64 character dectected"),
            ({"BOOL": "maybe"}, "Unexpected token received from parser"),
            ({"SS": "x"}, "Unexpected field type"),
            ({"SS": {}}, "Start of structure or map found where not expected"),
            ({"M": "x"}, "Unexpected field type"),
            (
                {"M": []},
                (
                    "Unrecognized collection type java.util.Map<java.lang.String, "
                    "com.amazonaws.dynamodb.v20120810.AttributeValue>"
                ),
            ),
            ({"L": ["x"]}, "Unexpected value type in payload"),
            (
                [],
                (
                    "Unrecognized collection type class "
                    "com.amazonaws.dynamodb.v20120810.AttributeValue"
                ),
            ),
        ],
    )
    def test_values_of_another_type_are_refused_in_corals_words(
        self, item: Any, message: str
    ) -> None:
        body = orjson.dumps({"TableName": "abc", "Item": {"a": item}})
        with pytest.raises(SerializationException) as caught:
            _decoded("dynamodb", "PutItem", body)
        assert caught.value.message == message

    @pytest.mark.parametrize(
        "number", ["1180591620717411303424", "-1e30", "1e400", "-9223372036854777856"]
    )
    def test_numbers_beyond_all_types_are_refused(self, number: str) -> None:
        body = b'{"TableName":"abc","Limit":%s}' % number.encode()
        with pytest.raises(SerializationException):
            _decoded("dynamodb", "Scan", body)

    def test_coral_is_lenient_where_it_is(self) -> None:
        body = (
            b'{"TableName":"abc","Limit":2.9,"Unknown":1,"ScanFilter":null,"ConsistentRead":"yes"}'
        )
        assert _decoded("dynamodb", "Scan", body) == {
            "TableName": "abc",
            "Limit": 2,
            "ConsistentRead": True,
        }

    def test_values_are_decoded_at_every_depth(self) -> None:
        item = {"a": {"M": {"b": {"L": [{"B": "aGk="}, {"BS": ["aGk="]}, {"NULL": True}]}}}}
        body = orjson.dumps({"TableName": "abc", "Item": item})
        got = _decoded("dynamodb", "PutItem", body)["Item"]
        assert got == {"a": {"M": {"b": {"L": [{"B": b"hi"}, {"BS": [b"hi"]}, {"NULL": True}]}}}}

    def test_an_unreadable_body_is_a_serialization_exception(self) -> None:
        deep = b'{"TableName":"abc","Item":{"a":' + b'{"L":[' * 400 + b"]}" * 400 + b"}}"
        for body in (b"{", b"[]", b'"x"', b"\xff", b'{"TableName":"\\ud800"}', deep, b"1", b"null"):
            with pytest.raises(SerializationException):
                _decoded("dynamodb", "PutItem", body)

    def test_replies_carry_type_version_id_and_checksum(self) -> None:
        reply = codec_of("dynamodb").encode("GetItem", {"Item": {"a": {"B": b"hi"}}}, "REQUEST1")
        assert reply.body == b'{"Item":{"a":{"B":"aGk="}}}'
        assert dict(reply.headers) == {
            "content-type": "application/x-amz-json-1.0",
            "x-amzn-RequestId": "REQUEST1",
            "x-amz-crc32": str(zlib.crc32(reply.body)),
        }

    def test_timestamps_and_special_floats_are_rewritten_and_nothing_is_changed_in_place(
        self,
    ) -> None:
        table = {"TableName": "t", "CreationDateTime": 1767323045678}
        codec = codec_of("dynamodb")
        first = codec.encode("DescribeTable", {"Table": table}, "R")
        assert first.body == b'{"Table":{"TableName":"t","CreationDateTime":1767323045.678}}'
        assert table["CreationDateTime"] == 1767323045678
        capacity = {"ConsumedCapacity": {"CapacityUnits": float("inf")}, "Item": None}
        reply = codec.encode("GetItem", capacity, "R")
        assert reply.body == b'{"ConsumedCapacity":{"CapacityUnits":"Infinity"}}'

    def test_a_member_that_is_not_in_the_model_is_a_bug(self) -> None:
        with pytest.raises(AssertionError):
            codec_of("dynamodb").encode("GetItem", {"item": {}}, "R")

    @pytest.mark.parametrize(
        ("error", "body"),
        [
            (
                ResourceNotFoundException("Requested resource not found"),
                {
                    "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
                    "message": "Requested resource not found",
                },
            ),
            (
                SerializationException(),
                {"__type": "com.amazon.coral.service#SerializationException"},
            ),
            (
                type("ValidationException", (ServiceError,), {})("no"),
                {"__type": "com.amazon.coral.validate#ValidationException", "message": "no"},
            ),
            (UnknownOperation(), {"__type": "com.amazon.coral.service#UnknownOperationException"}),
            (NotBuilt("no"), {"__type": "NotImplemented", "message": "no"}),
        ],
    )
    def test_dynamodb_names_errors_with_their_namespaces(
        self, error: ServiceError, body: dict[str, str]
    ) -> None:
        reply = codec_of("dynamodb").encode_error("GetItem", error, "R")
        assert orjson.loads(_text(reply)) == body

    def test_an_error_has_the_status_of_the_model_or_its_own(self) -> None:
        codec = codec_of("dynamodb")
        assert codec.encode_error("GetItem", ResourceNotFoundException(), "R").status == 400
        assert codec.encode_error("GetItem", NotBuilt(), "R").status == 501
        internal = type("InternalServerError", (ServiceError,), {})()
        assert codec.encode_error(None, internal, "R").status == 500

    def test_a_query_compatible_service_tells_the_old_code(self) -> None:
        error = type("QueueDoesNotExist", (ServiceError,), {})("gone")
        reply = codec_of("sqs").encode_error("SendMessage", error, "R")
        assert ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender") in (
            reply.headers
        )


class TestRestJson:
    def test_an_error_is_named_in_a_header(self) -> None:
        reply = codec_of("lambda").encode_error(
            "GetFunction", ResourceNotFoundException("Function not found: f"), "REQUEST1"
        )
        assert reply.status == 404
        assert ("x-amzn-errortype", "ResourceNotFoundException") in reply.headers
        assert orjson.loads(_text(reply)) == {"Type": "User", "Message": "Function not found: f"}

    def test_header_members_of_errors_are_headers(self) -> None:
        error = type("TooManyRequestsException", (ServiceError,), {})(
            "Rate Exceeded.", retryAfterSeconds="3", Reason="CallerRateLimitExceeded"
        )
        reply = codec_of("lambda").encode_error("Invoke", error, "R")
        assert reply.status == 429
        assert ("Retry-After", "3") in reply.headers
        assert "retryAfterSeconds" not in orjson.loads(_text(reply))

    def test_an_answer_may_choose_its_status(self) -> None:
        reply = codec_of("lambda").encode(
            "Invoke", {"StatusCode": 202, "Payload": b"", "FunctionError": None}, "R"
        )
        assert (reply.status, reply.body) == (202, b"")

    def test_no_content_has_no_body(self) -> None:
        operation = load("lambda").operations["DeleteFunctionConcurrency"]
        assert operation.http_status == 204
        assert codec_of("lambda").encode(operation.name, {}, "R").body == b""


class TestQuery:
    def test_lists_are_ordered_by_number_and_gaps_mean_nothing(self) -> None:
        body = (
            b"Action=TagRole&Version=2010-05-08&RoleName=r&Tags.member.10.Key=b&Tags.member.10"
            b".Value=2&Tags.member.2.Key=a&Tags.member.2.Value=1"
        )
        assert _decoded("iam", "TagRole", body)["Tags"] == [
            {"Key": "a", "Value": "1"},
            {"Key": "b", "Value": "2"},
        ]

    @pytest.mark.parametrize(
        "body",
        [
            b"DurationSeconds=soon",
            b"DurationSeconds.x=1",
            b"Tags.member.x.Key=1",
            b"Tags.member.99999999999.Key=1",
            b"a" + b".a" * 100 + b"=1",
            b"A=%ff",
            b"A=\xff",
            b"&".join([b"A=1"] * 20_001),
        ],
    )
    def test_what_cannot_be_read_is_malformed_input(self, body: bytes) -> None:
        with pytest.raises(MalformedInput):
            _decoded("sts", "AssumeRole", b"RoleArn=arn&RoleSessionName=s&" + body)

    def test_answers_are_wrapped_and_end_with_the_request_id(self) -> None:
        reply = codec_of("sts").encode(
            "GetCallerIdentity", {"UserId": "u", "Account": "1", "Arn": "a"}, "REQUEST1"
        )
        assert _text(reply) == (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<GetCallerIdentityResult><UserId>u</UserId><Account>1</Account><Arn>a</Arn>"
            "</GetCallerIdentityResult><ResponseMetadata><RequestId>REQUEST1</RequestId>"
            "</ResponseMetadata></GetCallerIdentityResponse>"
        )

    def test_errors_tell_whose_fault_it_is(self) -> None:
        missing = type("NoSuchEntity", (ServiceError,), {})("gone")
        reply = codec_of("iam").encode_error("GetUser", missing, "REQUEST1")
        assert reply.status == 404
        assert _text(reply) == (
            '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error>'
            "<Type>Sender</Type><Code>NoSuchEntity</Code><Message>gone</Message></Error>"
            "<RequestId>REQUEST1</RequestId></ErrorResponse>"
        )

    def test_an_unknown_action_is_an_invalid_action(self) -> None:
        reply = codec_of("iam").encode_error(None, UnknownOperation("no"), "R")
        assert (reply.status, "<Code>InvalidAction</Code>" in _text(reply)) == (400, True)


def test_what_has_no_codec_or_model_says_so() -> None:
    with pytest.raises(UnsupportedProtocol):
        codec_of("s3", "query")
    with pytest.raises(UnknownService):
        codec_of("no-such-service")


TARGETS = [
    ("dynamodb", "PutItem"),
    ("dynamodb", "UpdateTable"),
    ("logs", "PutLogEvents"),
    ("lambda", "CreateFunction"),
    ("lambda", "Invoke"),
    ("iam", "CreateRole"),
    ("sts", "AssumeRole"),
    ("s3", "PutObject"),
    ("s3", "PutBucketLifecycleConfiguration"),
    ("s3", "ListObjectsV2"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["TableName", "Item", "S", "M", "L", "Tags", "Key", "logEvents"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TARGETS),
    st.binary(max_size=60) | JSON.map(lambda value: repr(value).encode("utf-8", "replace")),
    st.text(st.characters(codec="latin-1"), max_size=30),
    st.dictionaries(
        st.sampled_from(["x-amz-acl", "content-length", "if-modified-since", "x-amz-meta-a"]),
        st.text(st.characters(codec="latin-1"), max_size=10),
        max_size=3,
    ),
)
def test_no_bytes_raise_anything_but_a_modelled_error(
    target: tuple[str, str], body: bytes, query: str, headers: dict[str, str]
) -> None:
    with suppress(ServiceError):
        _decoded(*target, body, query=query, headers=headers, params={"FunctionName": "f"})


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TARGETS[:5]), JSON)
def test_no_json_raises_anything_but_a_modelled_error(target: tuple[str, str], value: Any) -> None:
    try:
        body = orjson.dumps(value)
    except TypeError:
        return  # beyond 64 bits
    with suppress(ServiceError):
        _decoded(*target, body, params={"FunctionName": "f"})
