from __future__ import annotations

import pytest

from fogbank.gateway.hosts import BARE, HOSTS_REMEMBERED_MAX, HostName, HostNames

PREFIXES = {"s3", "dynamodb", "lambda", "logs", "iam", "sts", "s3-control"}
NAMES = HostNames(PREFIXES, ["cloud.example.org"])


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("localhost:4566", BARE),
        ("127.0.0.1:4566", BARE),
        ("[::1]:4566", BARE),
        ("balancer.internal", BARE),
        ("cloud.example.org", BARE),
        ("dynamodb.us-east-1.localhost:4566", HostName("dynamodb", "us-east-1")),
        ("DynamoDB.localhost", HostName("dynamodb")),
        ("iam.localhost", HostName("iam")),
        ("iam.amazonaws.com", HostName("iam", "us-east-1")),
        ("sts.amazonaws.com", HostName("sts", "us-east-1")),
        ("sts.eu-west-1.amazonaws.com", HostName("sts", "eu-west-1")),
        ("dynamodb.eu-west-1.api.aws", HostName("dynamodb", "eu-west-1")),
        ("dynamodb-fips.us-east-2.amazonaws.com", HostName("dynamodb", "us-east-2")),
        ("s3-fips.dualstack.us-east-2.amazonaws.com", HostName("s3", "us-east-2")),
        ("photos.s3-fips.us-east-2.localhost", HostName("s3", "us-east-2", "photos")),
        (
            "123456789012.ddb.us-east-1.localhost",
            HostName("dynamodb", "us-east-1", account="123456789012"),
        ),
        ("12345678901.ddb.us-east-1.localhost", HostName("", "", "12345678901.ddb.us-east-1")),
        ("photos.s3-website-us-east-1.localhost", HostName("s3", unbuilt="website")),
        ("photos.s3-website.eu-west-1.localhost", HostName("s3", "eu-west-1", unbuilt="website")),
        ("photos.s3-accelerate.localhost", HostName("s3", unbuilt="accelerate")),
        ("photos.s3-accelerate.dualstack.localhost", HostName("s3", unbuilt="accelerate")),
        (
            "p-1.s3-accesspoint.eu-west-1.localhost",
            HostName("s3", "eu-west-1", unbuilt="accesspoint"),
        ),
        (
            "p-123456789012.s3-accesspoint.eu-west-1.localhost",
            HostName("s3", "eu-west-1", unbuilt="accesspoint"),
        ),
        (
            "pap-123456789012.s3-accesspoint.eu-west-1.localhost",
            HostName("s3", "eu-west-1", point="pap-123456789012"),
        ),
        (
            "pap-123456789012.s3-accesspoint-fips.dualstack.us-east-2.amazonaws.com",
            HostName("s3", "us-east-2", point="pap-123456789012"),
        ),
        (
            "pap-123456789012.localhost:4566",
            HostName(bucket="pap-123456789012", point="pap-123456789012"),
        ),
        ("pap-123456789012.127.0.0.1:4566", HostName(point="pap-123456789012")),
        ("photos.127.0.0.1:4566", BARE),
        ("123456789012.s3-control.eu-west-1.localhost", HostName("s3-control", "eu-west-1")),
        (
            "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.localhost",
            HostName("s3", "us-east-1", unbuilt="s3express"),
        ),
        ("my.s3-website.s3.us-east-1.localhost", HostName("s3", "us-east-1", "my.s3-website")),
        ("photos.s3.eusc-de-east-1.localhost", HostName("s3", "eusc-de-east-1", "photos")),
        ("s3.localhost", HostName("s3")),
        ("s3.eu-west-1.localhost", HostName("s3", "eu-west-1")),
        ("photos.localhost:4566", HostName("", "", "photos")),
        ("photos.s3.localhost", HostName("s3", "", "photos")),
        ("photos.s3.eu-west-1.localhost", HostName("s3", "eu-west-1", "photos")),
        ("photos.s3.dualstack.eu-west-1.localhost", HostName("s3", "eu-west-1", "photos")),
        ("photos.s3-us-west-2.amazonaws.com", HostName("s3", "us-west-2", "photos")),
        ("a.b.c.s3.us-gov-west-1.localhost", HostName("s3", "us-gov-west-1", "a.b.c")),
        ("my.s3.bucket.s3.us-east-1.localhost", HostName("s3", "us-east-1", "my.s3.bucket")),
        ("photos.cloud.example.org:443", HostName("", "", "photos")),
        ("photos.s3.cloud.example.org", HostName("s3", "", "photos")),
        ("photos.amazonaws.com", BARE),
        ("Ab_.localhost", BARE),
        ("-a-.s3.localhost", HostName("s3")),
        ("photos.s3.localhost.", HostName("s3", "", "photos")),
        ("", BARE),
    ],
)
def test_a_host_name_says_service_region_and_bucket(host: str, said: HostName) -> None:
    assert NAMES.read(host)._replace(urls=said.urls) == said
    assert NAMES.read(host) is NAMES.read(host)


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("localhost:4566", "localhost:4566"),
        ("127.0.0.1:4566", "127.0.0.1:4566"),
        ("[::1]:4566", "[::1]:4566"),
        ("Balancer.Internal", "balancer.internal"),
        ("photos.s3.eu-west-1.localhost:4566", "localhost:4566"),
        ("photos.cloud.example.org", "cloud.example.org"),
        ("s3.eu-west-1.amazonaws.com", "amazonaws.com"),
    ],
)
def test_urls_begin_with_the_host_that_was_asked_without_its_labels(
    host: str, authority: str
) -> None:
    assert NAMES.read(host).urls == (f"http://{authority}", f"https://{authority}")


def test_urls_begin_with_the_public_url_where_there_is_one() -> None:
    names = HostNames(PREFIXES, [], "https://cloud.example.com:8443/")
    for host in ("10.1.2.3:4566", "photos.s3.eu-west-1.cloud.example.com"):
        assert names.read(host).urls == ("https://cloud.example.com:8443",) * 2
    assert names.read("photos.cloud.example.com").bucket == "photos"


def test_what_is_remembered_is_bounded() -> None:
    names = HostNames({"s3"}, [])
    for at in range(3 * HOSTS_REMEMBERED_MAX):
        names.read(f"h{at}")
    assert len(names._remembered) <= HOSTS_REMEMBERED_MAX


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("abc.lambda-url.eu-west-1.localhost:4566", ("lambda-url", "eu-west-1", "abc")),
        ("ABC.lambda-url.eu-west-1.on.aws", ("lambda-url", "eu-west-1", "abc")),
        ("abc.lambda-url.eu-west-1.cloud.example.org", ("lambda-url", "eu-west-1", "abc")),
        ("lambda-url.eu-west-1.localhost", ("", "", "")),
        ("a.b.lambda-url.eu-west-1.localhost", ("", "", "")),
        ("abc.lambda-url.localhost", ("", "", "")),
        ("abc.lambda-url.nowhere.localhost", ("", "", "")),
        ("abc.lambda-url.eu-west-1.other.example", ("", "", "")),
    ],
)
def test_a_front_door_is_named_by_its_label_and_a_region(
    host: str, said: tuple[str, str, str]
) -> None:
    names = HostNames(PREFIXES, ["cloud.example.org"], doors=["lambda-url"])
    found = names.read(host)
    assert (found.door, found.region, found.named) == said
    assert found.is_bare == (host.endswith("other.example"))
