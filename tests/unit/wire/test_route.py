"""Routing: which operation a request means, and what means none."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.base.errors import ServiceError
from fogbank.wire.errors import (
    InvalidArgument,
    InvalidURI,
    MethodNotAllowed,
    UnknownOperation,
    UnsupportedSubresource,
)
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import load
from fogbank.wire.route import POST_OBJECT, Route, Router, protocol_of

COPY = {"x-amz-copy-source": "a/b"}
TOLD = {"x-amz-account-id": "123456789012"}


@cache
def router() -> Router:
    return Router(("s3", "dynamodb", "dynamodbstreams", "lambda", "logs", "iam", "sts"))


def _resolved(
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    *,
    signing: str | None = "s3",
    bucket: str | None = None,
    body: bytes = b"",
) -> Route:
    request = HttpRequest(method, path, query, headers or {}, body)
    return router().resolve(request, signing, bucket)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/", "", {}, "ListBuckets"),
        ("GET", "/", "x-id=ListBuckets", {}, "ListBuckets"),
        ("GET", "/b", "", {}, "ListObjects"),
        ("GET", "/b/", "list-type=2&prefix=a", {}, "ListObjectsV2"),
        ("GET", "/b", "versions", {}, "ListObjectVersions"),
        ("GET", "/b", "acl=", {}, "GetBucketAcl"),
        ("GET", "/b", "uploads&prefix=a", {}, "ListMultipartUploads"),
        ("GET", "/b", "analytics", {}, "ListBucketAnalyticsConfigurations"),
        ("GET", "/b", "analytics&id=1", {}, "GetBucketAnalyticsConfiguration"),
        ("GET", "/b", "lifecycle", {}, "GetBucketLifecycleConfiguration"),
        ("HEAD", "/b", "", {}, "HeadBucket"),
        ("PUT", "/b", "", {}, "CreateBucket"),
        ("POST", "/b", "delete", {}, "DeleteObjects"),
        ("GET", "/b/k", "", {}, "GetObject"),
        ("GET", "/b/k", "versionId=1&response-expires=x", {}, "GetObject"),
        ("GET", "/b/k", "unknown=1", {}, "GetObject"),
        ("GET", "/b/k", "X-Amz-Signature=1&X-Amz-Date=2", {}, "GetObject"),
        ("GET", "/b/k", "partNumber=1", {}, "GetObject"),
        ("GET", "/b/k", "uploadId=1", {}, "ListParts"),
        ("GET", "/b/k", "attributes", {"x-amz-object-attributes": "ETag"}, "GetObjectAttributes"),
        ("GET", "/b/k", "tagging&versionId=1", {}, "GetObjectTagging"),
        ("PUT", "/b/k", "", {}, "PutObject"),
        ("PUT", "/b/k", "x-id=PutObject", {}, "PutObject"),
        ("PUT", "/b/k", "", COPY, "CopyObject"),
        ("PUT", "/b/k", "partNumber=1&uploadId=2", {}, "UploadPart"),
        ("PUT", "/b/k", "partNumber=1&uploadId=2", COPY, "UploadPartCopy"),
        ("POST", "/b/k", "uploads", {}, "CreateMultipartUpload"),
        ("POST", "/b/k", "uploadId=2", {}, "CompleteMultipartUpload"),
        ("DELETE", "/b/k", "uploadId=2", {}, "AbortMultipartUpload"),
        ("DELETE", "/b/k", "versionId=2", {}, "DeleteObject"),
        ("POST", "/b", "", {"content-type": "multipart/form-data; boundary=x"}, POST_OBJECT),
    ],
)
def test_s3_is_told_by_method_path_query_and_headers(
    method: str, path: str, query: str, headers: dict[str, str], operation: str
) -> None:
    assert _resolved(method, path, query, headers).operation == operation


@pytest.mark.parametrize(
    ("method", "path", "query", "error"),
    [
        ("GET", "/b", "unheardof", UnsupportedSubresource),
        ("PUT", "/b/k", "unheardof", UnsupportedSubresource),
        ("GET", "/b/k", "versions", MethodNotAllowed),
        ("DELETE", "/b/k", "acl", MethodNotAllowed),
        ("PUT", "/b/k", "uploadId=2", MethodNotAllowed),
        ("PUT", "/b/k", "uploads", MethodNotAllowed),
        ("DELETE", "/", "", MethodNotAllowed),
        ("POST", "/b", "", MethodNotAllowed),
        ("GET", "/b", "list-type=3", InvalidArgument),
        ("GET", "/b/%ff", "", InvalidURI),
        ("GET", "/b/k", "versionId=%ff", InvalidURI),
    ],
)
def test_s3_never_takes_a_subresource_for_the_plain_operation(
    method: str, path: str, query: str, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        _resolved(method, path, query)


@pytest.mark.parametrize(
    ("path", "bucket", "expected"),
    [
        ("/b/a%20b/%D0%B6//c", None, {"Bucket": "b", "Key": "a b/ж//c"}),
        ("/b//k", None, {"Bucket": "b", "Key": "/k"}),
        ("/b/..", None, {"Bucket": "b", "Key": ".."}),
        ("/b/a+b", None, {"Bucket": "b", "Key": "a+b"}),
        ("/a/b", "host-bucket", {"Bucket": "host-bucket", "Key": "a/b"}),
        ("/b/\u00d0\u00b6", None, {"Bucket": "b", "Key": "ж"}),
    ],
)
def test_s3_keys_are_kept_byte_for_byte(
    path: str, bucket: str | None, expected: dict[str, str]
) -> None:
    assert _resolved("GET", path, bucket=bucket).path_params == expected


def test_a_bucket_in_the_host_makes_the_empty_path_the_bucket() -> None:
    route = _resolved("GET", "/", "list-type=2", bucket="b", signing=None)
    assert route == Route("s3", "ListObjectsV2", {"Bucket": "b"})


@pytest.mark.parametrize(
    ("method", "path", "query", "operation", "params"),
    [
        ("POST", "/2015-03-31/functions", "", "CreateFunction", {}),
        ("POST", "/2015-03-31/functions/", "", "CreateFunction", {}),
        ("GET", "/2015-03-31/functions/", "MaxItems=1", "ListFunctions", {}),
        (
            "POST",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax/invocations",
            "Qualifier=1",
            "Invoke",
            {"FunctionName": "arn:aws:lambda:x"},
        ),
        (
            "DELETE",
            "/2017-03-31/tags/arn%3Aaws%3Alambda%3Ax%2Fy",
            "tagKeys=a",
            "UntagResource",
            {"Resource": "arn:aws:lambda:x/y"},
        ),
        ("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=a", "GetLayerVersionByArn", {}),
        ("GET", "/2018-10-31/layers", "", "ListLayers", {}),
    ],
)
def test_lambda_is_told_by_its_templates(
    method: str, path: str, query: str, operation: str, params: dict[str, str]
) -> None:
    route = _resolved(method, path, query, signing="lambda")
    assert route == Route("lambda", operation, params)


def test_json_services_that_share_a_signing_name_are_told_by_target() -> None:
    for service, target in (
        ("dynamodb", "DynamoDB_20120810.ListTables"),
        ("dynamodbstreams", "DynamoDBStreams_20120810.ListStreams"),
    ):
        for signing in ("dynamodb", None):
            route = _resolved("POST", "/", "", {"x-amz-target": target}, signing=signing)
            assert route == Route(service, target.rpartition(".")[2], {})


def test_query_services_are_told_by_action_and_version() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    for signing in ("sts", None):
        route = _resolved("POST", "/", "", headers, signing=signing, body=body)
        assert route == Route("sts", "GetCallerIdentity", {})
    assert _resolved("GET", "/", body.decode(), signing="sts").operation == "GetCallerIdentity"


def test_anonymous_requests_are_told_by_host_and_otherwise_are_s3s() -> None:
    headers = {"host": "lambda.us-east-1.localhost:4566"}
    assert _resolved("GET", "/2015-03-31/functions", "", headers, signing=None).service == "lambda"
    assert (
        _resolved("GET", "/b/k", "", {"host": "localhost:4566"}, signing=None).operation
        == "GetObject"
    )


@pytest.mark.parametrize(
    ("signing", "headers", "body", "service"),
    [
        ("dynamodb", {}, b"{}", "dynamodb"),
        ("dynamodb", {"x-amz-target": "DynamoDB_20120810.Nope"}, b"{}", "dynamodb"),
        ("dynamodb", {"x-amz-target": "Logs_20140328.CreateLogGroup"}, b"{}", "dynamodb"),
        ("iam", {}, b"Action=Nope&Version=2010-05-08", "iam"),
        ("iam", {}, b"Action=ListUsers&Version=1999-01-01", "iam"),
        ("lambda", {}, b"", "lambda"),
        ("nothing", {}, b"", ""),
    ],
)
def test_what_means_nothing_is_an_unknown_operation(
    signing: str, headers: dict[str, str], body: bytes, service: str
) -> None:
    with pytest.raises(UnknownOperation) as caught:
        _resolved("POST", "/", "", headers, signing=signing, body=body)
    assert caught.value.service == service


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    st.text(st.characters(codec="latin-1"), max_size=40),
    st.text(st.characters(codec="latin-1"), max_size=40),
    st.sampled_from(["s3", "lambda", "iam", "dynamodb", None]),
)
def test_no_request_breaks_the_router(
    method: str, path: str, query: str, signing: str | None
) -> None:
    with suppress(ServiceError):
        _resolved(method, f"/{path}", query, signing=signing)


def test_a_path_that_goes_on_behind_a_greedy_label_is_not_taken_by_it() -> None:
    router = Router(["s3control"])
    for path, operation in (
        ("/v20180820/mrap/instances/a", "GetMultiRegionAccessPoint"),
        ("/v20180820/mrap/instances/a/policy", "GetMultiRegionAccessPointPolicy"),
        ("/v20180820/mrap/instances/a/b/routes", "GetMultiRegionAccessPointRoutes"),
    ):
        found = router.resolve_told("s3control", HttpRequest("GET", path, "", TOLD))
        assert found.operation == operation


@pytest.mark.parametrize(
    "path",
    [
        "/2015-03-31/functions/.",
        "/2015-03-31/functions/..",
        "/2015-03-31/functions/../configuration",
    ],
)
def test_a_path_that_is_signed_as_another_is_no_operation(path: str) -> None:
    """RFC 3986, 5.2.4; a key of S3 may have such segments, and is signed as it is sent."""
    assert _resolved("GET", "/2015-03-31/functions/f", signing="lambda").operation == "GetFunction"
    with pytest.raises(UnknownOperation):
        _resolved("GET", path, signing="lambda")
    assert _resolved("GET", "/b/./../k").operation == "GetObject"


def test_s3_control_answers_who_was_told_to_ask_it_and_s3_everyone_else() -> None:
    router = Router(["s3", "s3control"])
    request = HttpRequest("GET", "/v20180820/jobs/x", "", TOLD)
    control = router.resolve_told("s3control", request)
    assert (control.service, control.operation) == ("s3control", "DescribeJob")
    plain = router.resolve(request, "s3")
    assert (plain.service, plain.path_params["Bucket"]) == ("s3", "v20180820")
    with pytest.raises(UnknownOperation):
        router.resolve_told("s3control", HttpRequest("GET", "/v20180820/none", "", TOLD))


class TestProtocols:
    PATH = "/service/GraniteServiceVersion20100801/operation/ListMetrics"
    CBOR: ClassVar = {"smithy-protocol": "rpc-v2-cbor"}

    @pytest.mark.parametrize(
        ("request_", "protocol"),
        [
            (HttpRequest("POST", PATH, "", CBOR), "smithy-rpc-v2-cbor"),
            (HttpRequest("POST", f"/behind/a/proxy{PATH}", "", CBOR), "smithy-rpc-v2-cbor"),
            (
                HttpRequest(
                    "POST", "/", "", {"x-amz-target": "GraniteServiceVersion20100801.ListMetrics"}
                ),
                "json",
            ),
            (HttpRequest("GET", "/", "Action=ListMetrics&Version=2010-08-01", {}), "query"),
        ],
    )
    @pytest.mark.parametrize("signing_name", ["monitoring", None])
    def test_one_service_is_found_in_each(
        self, request_: HttpRequest, protocol: str, signing_name: str | None
    ) -> None:
        found = Router(["cloudwatch"]).resolve(request_, signing_name)
        assert (found.service, found.operation) == ("cloudwatch", "ListMetrics")
        assert protocol_of(load("cloudwatch"), request_) == protocol

    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("GET", PATH, CBOR),
            ("POST", PATH, {"smithy-protocol": "rpc-v3-cbor"}),
            ("POST", PATH.replace("ListMetrics", "Frobnicate"), CBOR),
            ("POST", PATH.replace("Granite", "Basalt"), CBOR),
            ("POST", "/service/operation", CBOR),
        ],
    )
    def test_what_is_not_quite_cbor_is_no_operation(
        self, method: str, path: str, headers: dict[str, str]
    ) -> None:
        with pytest.raises(UnknownOperation):
            Router(["cloudwatch"]).resolve(HttpRequest(method, path, "", headers), "monitoring")
