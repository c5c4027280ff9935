from __future__ import annotations

import asyncio
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError, WaiterError

from fogbank.testing.cloud import Cloud

ONE_TRY = Config(retries={"total_max_attempts": 1})


def test_a_client_made_before_the_cloud_acts_as_the_test(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    early = boto3.session.Session().client("dynamodb", region_name="us-east-1")
    other = boto3.session.Session().client(
        "sts", region_name="us-east-1", aws_access_key_id="AKIAREAL", aws_secret_access_key="real"
    )
    with pytest.raises(NoCredentialsError):
        early.list_tables()
    cloud = request.getfixturevalue("fogbank")
    assert early.list_tables()["TableNames"] == []
    assert other.get_caller_identity()["Account"] == cloud.account.principal.account


def test_objects_are_found_under_the_names_of_their_buckets(fogbank: Cloud) -> None:
    # Made as if at import: for AWS's own hosts, where buckets are parts of the name.
    virtual = boto3.client("s3", endpoint_url="https://s3.us-east-1.amazonaws.com")
    virtual.create_bucket(Bucket="named")
    virtual.put_object(Bucket="named", Key="a/b c", Body=b"x")
    listed = boto3.client("s3").list_objects_v2(Bucket="named")
    assert [entry["Key"] for entry in listed["Contents"]] == ["a/b c"]


class _Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(418)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def test_requests_to_other_hosts_go_where_they_say(fogbank: Cloud) -> None:
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(ClientError) as refused:
            boto3.client("s3", endpoint_url=endpoint, config=ONE_TRY).list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 418


def test_a_waiter_waits_in_virtual_time(fogbank: Cloud) -> None:
    before_ms = fogbank.clock.now_ms()
    with pytest.raises(WaiterError):
        boto3.client("dynamodb").get_waiter("table_exists").wait(TableName="never")
    assert fogbank.clock.now_ms() - before_ms == 24 * 20_000


def test_a_coroutine_may_call_boto3(fogbank: Cloud) -> None:
    async def main() -> int:
        calls = [asyncio.to_thread(boto3.client("s3").list_buckets) for _ in range(4)]
        return len(await asyncio.gather(*calls))

    assert asyncio.run(main()) == 4


def test_acting_as_someone_ends_with_the_block(fogbank: Cloud) -> None:
    def who() -> str:
        return boto3.client("sts").get_caller_identity()["Arn"].rsplit(":", 1)[1]

    keys = fogbank.create_user("ann")
    with fogbank.acting_as(keys):
        assert who() == "user/ann"
    assert who() == "root"


def test_a_role_of_another_account_is_that_account(fogbank: Cloud, fogbank_account) -> None:
    other = fogbank_account("other", "210987654321")
    with fogbank.acting_as(other):
        assert boto3.client("sts").get_caller_identity()["Account"] == "210987654321"
    assert (
        fogbank.client("sts", credential=other).get_caller_identity()["Account"] == "210987654321"
    )


def test_sessions_read_a_model_once(fogbank: Cloud) -> None:
    loaders = [botocore.session.Session().get_component("data_loader") for _ in range(2)]
    assert loaders[0] is loaders[1]
    folders = len(loaders[0].search_paths)
    for _ in range(3):
        fogbank.client("sts")
    assert len(loaders[0].search_paths) == folders
