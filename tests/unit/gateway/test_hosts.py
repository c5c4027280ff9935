from __future__ import annotations

import pytest

from fogbank.gateway.hosts import BARE, HOSTS_REMEMBERED_MAX, HostName, HostNames

NAMES = HostNames({"s3", "dynamodb", "lambda", "logs", "iam", "sts"}, ["cloud.example.org"])


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
        ("iam.amazonaws.com", HostName("iam")),
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
    assert NAMES.read(host) == said
    assert NAMES.read(host) == said


def test_what_is_remembered_is_bounded() -> None:
    names = HostNames({"s3"}, [])
    for at in range(3 * HOSTS_REMEMBERED_MAX):
        names.read(f"h{at}")
    assert len(names._remembered) <= HOSTS_REMEMBERED_MAX
