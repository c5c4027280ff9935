"""CORS configurations of buckets; tests/unit/gateway/test_origins.py has how rules are evaluated.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3_cors.snapshot.json).
"""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.platform.store.engine import Domain
from fogbank.services.s3.schema import CORS
from fogbank.testing.cloud import Cloud
from fogbank.wire.http import HttpRequest

PAGE = "https://app.example"
NO_WILDCARD = "We currently do not support wildcard for ExposeHeader"
LEAST = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
WHOLE = {
    "ID": "one",
    "AllowedHeaders": ["x-amz-expected-bucket-owner", "x-AMZ-server-SIDE-encryption"],
    "AllowedMethods": ["GET", "PUT", "HEAD"],
    "AllowedOrigins": ["https://test.com", "http://test.com:80", ""],
    "ExposeHeaders": ["ETag"],
    "MaxAgeSeconds": 0,
}


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def put(s3: Any, *rules: Any, **more: Any) -> Any:
    return s3.put_bucket_cors(Bucket="photos", CORSConfiguration={"CORSRules": list(rules)}, **more)


def preflight(cloud: Cloud, path: str = "/photos/key", method: str = "PUT") -> dict[str, str]:
    """Return the head of a bucket's answer to a browser, its status among it."""
    headers = {"host": "localhost", "origin": PAGE, "access-control-request-method": method}
    reply, _ = cloud.handle(HttpRequest("OPTIONS", path, "", headers))
    return {"status": str(reply.status), **{name.lower(): value for name, value in reply.headers}}


def test_a_configuration_is_put_found_and_deleted(s3: Any, refusal: Any) -> None:
    none = ("NoSuchCORSConfiguration", "The CORS configuration does not exist")
    assert refusal(s3.get_bucket_cors, Bucket="photos") == none
    deleted = s3.delete_bucket_cors(Bucket="photos")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert put(s3, WHOLE, LEAST)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_cors(Bucket="photos")["CORSRules"] == [WHOLE, LEAST]
    put(s3, LEAST)
    assert s3.get_bucket_cors(Bucket="photos")["CORSRules"] == [LEAST]
    s3.delete_bucket_cors(Bucket="photos")
    assert refusal(s3.get_bucket_cors, Bucket="photos") == none
    for call in (s3.get_bucket_cors, s3.delete_bucket_cors):
        assert refusal(call, Bucket="nobody")[0] == "NoSuchBucket"


@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        (
            {**LEAST, "AllowedMethods": ["GET", "MYMETHOD"]},
            "InvalidRequest",
            "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD",
        ),
        (
            {**LEAST, "AllowedOrigins": ["http://*.*"]},
            "InvalidRequest",
            'AllowedOrigin "http://*.*" can not have more than one wildcard.',
        ),
        (
            {**LEAST, "AllowedHeaders": ["x-*-*"]},
            "InvalidRequest",
            'AllowedHeader "x-*-*" can not have more than one wildcard.',
        ),
        (
            {**LEAST, "ExposeHeaders": ["*"]},
            "InvalidRequest",
            f'ExposeHeader "*" contains wildcard. {NO_WILDCARD}',
        ),
        (
            {**LEAST, "ID": "i" * 256},
            "InvalidArgument",
            "ID length should not exceed allowed limit of 255",
        ),
        ({**LEAST, "AllowedMethods": []}, "MalformedXML", "The XML you provided was not"),
        ({**LEAST, "AllowedOrigins": []}, "MalformedXML", "The XML you provided was not"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    s3: Any, refusal: Any, rule: Any, code: str, message: str
) -> None:
    refused = refusal(lambda: put(s3, LEAST, rule))
    assert refused[0] == code
    assert refused[1].startswith(message)
    assert refusal(s3.get_bucket_cors, Bucket="photos")[0] == "NoSuchCORSConfiguration"


def test_a_bucket_has_one_to_a_hundred_rules(s3: Any, refusal: Any) -> None:
    assert refusal(lambda: put(s3))[0] == "MalformedXML"
    assert refusal(lambda: put(s3, *[LEAST] * 101))[0] == "MalformedXML"
    put(s3, *[LEAST] * 100)
    assert len(s3.get_bucket_cors(Bucket="photos")["CORSRules"]) == 100


def test_a_browser_is_told_what_the_configuration_says_and_reads_the_object(
    s3: Any, cloud: Cloud
) -> None:
    s3.put_object(Bucket="photos", Key="key", Body=b"x")
    assert preflight(cloud)["status"] == "403"
    put(s3, {**LEAST, "AllowedMethods": ["PUT", "GET"], "AllowedOrigins": ["https://*.example"]})
    found = preflight(cloud)
    assert found["status"] == "200"
    assert found["access-control-allow-origin"] == PAGE
    assert found["access-control-allow-methods"] == "PUT, GET"
    assert preflight(cloud, method="DELETE")["status"] == "403"
    seen: list[dict[str, str]] = []
    s3.meta.events.register("before-sign.s3", lambda request, **_: add_origin(request))
    s3.meta.events.register(
        "response-received.s3", lambda response_dict, **_: seen.append(response_dict["headers"])
    )
    assert s3.get_object(Bucket="photos", Key="key")["Body"].read() == b"x"
    assert seen[-1]["Access-Control-Allow-Origin"] == PAGE
    assert seen[-1]["Vary"].startswith("Origin")
    s3.delete_bucket_cors(Bucket="photos")
    assert preflight(cloud)["status"] == "403"


def add_origin(request: Any) -> None:
    request.headers["Origin"] = PAGE


def test_the_rules_of_a_bucket_go_with_it(s3: Any, cloud: Cloud, refusal: Any) -> None:
    put(s3, LEAST)
    s3.delete_bucket(Bucket="photos")
    assert preflight(cloud, method="GET")["status"] == "403"
    cloud.settle()
    domain = Domain("s3", "photos")
    assert not [key for key in cloud.engine.rows if key.startswith(CORS.prefix(domain))]
    s3.create_bucket(Bucket="photos")
    assert refusal(s3.get_bucket_cors, Bucket="photos")[0] == "NoSuchCORSConfiguration"
    assert preflight(cloud, method="GET")["status"] == "403"


def test_the_rules_of_another_account_are_its_own(cloud: Cloud, s3: Any, refusal: Any) -> None:
    put(s3, LEAST)
    other = cloud.client("s3", credential=cloud.create_account("other"))
    for call in (other.get_bucket_cors, other.delete_bucket_cors):
        assert refusal(call, Bucket="photos")[0] == "AccessDenied"
    assert refusal(lambda: put(other, LEAST))[0] == "AccessDenied"
    wrong = {"Bucket": "photos", "ExpectedBucketOwner": "111122223333"}
    assert refusal(s3.get_bucket_cors, **wrong)[0] == "AccessDenied"
