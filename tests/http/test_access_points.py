"""Access points over sockets, through fronts, to buckets of several stores."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.http.several import ACCOUNT, BUCKETS, settings, store_of

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

LARGE = b"some bytes that make a blob " * 100_000


@pytest.fixture(scope="module", params=[(1, 0), (2, 1)], ids=["alone", "two stores"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    stores, fronts = request.param
    with Server(
        tmp_path_factory.mktemp("points") / "data", settings=settings(stores, fronts)
    ) as made:
        yield made


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have names under the server's address resolve to it, as a wildcard in DNS has them."""
    real = socket.getaddrinfo

    def resolve(host: Any, *given: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".127.0.0.1") else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_objects_go_through_points_wherever_their_bucket_lies(
    server: Server, anywhere: None
) -> None:
    s3 = server.client("s3", config=Config(s3={"addressing_style": "path"}))
    control = server.client("s3control")
    assert {store_of(bucket) for bucket in BUCKETS} == {0, 1}
    for at, bucket in enumerate(BUCKETS):
        s3.create_bucket(Bucket=bucket)
        point = control.create_access_point(AccountId=ACCOUNT, Name=f"point-{at}", Bucket=bucket)
        s3.put_object(Bucket=point["Alias"], Key="small", Body=b"x")
        s3.put_object(Bucket=point["AccessPointArn"], Key="large", Body=LARGE)
        for name in (bucket, *map(point.get, ("Alias", "AccessPointArn"))):
            assert s3.get_object(Bucket=name, Key="small")["Body"].read() == b"x"
            assert s3.get_object(Bucket=name, Key="large")["Body"].read() == LARGE
        refuse = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"{point['AccessPointArn']}/object/small",
        }
        control.put_access_point_policy(
            AccountId=ACCOUNT,
            Name=f"point-{at}",
            Policy=json.dumps({"Version": "2012-10-17", "Statement": [refuse]}),
        )
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_object(Bucket=point["AccessPointArn"], Key="small")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            s3.get_object(Bucket="none-s3alias", Key="small")
