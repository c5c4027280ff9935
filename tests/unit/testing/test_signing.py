"""By whose clock clients sign while a cloud with a virtual one is open."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from fogbank.testing.cloud import Cloud

VIRTUAL = "20260101"


def signed_on() -> str:
    """Return the day on which who has no cloud signs."""
    request = AWSRequest("GET", "http://localhost/")
    SigV4Auth(Credentials("a", "b"), "s3", "us-east-1").add_auth(request)
    return request.headers["X-Amz-Date"][:8]


def ask(client: Any) -> None:
    with contextlib.suppress(ClientError):
        client.list_buckets()


@pytest.mark.parametrize("config", [None, Config(signature_version=UNSIGNED)])
def test_who_has_no_cloud_signs_by_the_machines_clock_whoever_signed_before(config: Any) -> None:
    """A client that signs nothing left its clock behind for whoever signed next in its thread."""
    with Cloud() as cloud:
        ask(cloud.client("s3", config=config) if config else cloud.client("s3"))
        assert signed_on() != VIRTUAL


def test_requests_and_urls_are_signed_by_the_clock_of_their_cloud() -> None:
    with Cloud() as cloud:
        s3 = cloud.client("s3", config=Config(signature_version="s3v4"))
        s3.create_bucket(Bucket="photos")  # refused if it were signed by another clock
        url = s3.generate_presigned_url("get_object", {"Bucket": "photos", "Key": "k"})
        assert f"X-Amz-Date={VIRTUAL}" in url
