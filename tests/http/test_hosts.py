"""Names of hosts over real sockets: virtual-hosted buckets, services, accounts, a public name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.crt.auth import CrtS3SigV4AsymQueryAuth
from botocore.exceptions import ClientError

from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]

NAME = "cloud.example"
PUBLIC = "https://cloud.example:8443"
VIRTUAL = Config(s3={"addressing_style": "virtual"})
# boto3 presigns by version 2 unless told otherwise, which is refused.
PRESIGNED = Config(signature_version="s3v4")
AWS = Path(sys.executable).parent / "aws"
RESOLVER = """
import socket
real = socket.getaddrinfo
def mine(host, *rest, **more):
    if isinstance(host, bytes):
        host = host.decode()
    ours = host and host.endswith(("localhost", "cloud.example"))
    return real("127.0.0.1" if ours else host, *rest, **more)
socket.getaddrinfo = mine
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a public name that differs from the address it listens on."""
    folder = tmp_path_factory.mktemp("hosts")
    settings = f'public_hosts = ["{NAME}"]\npublic_url = "{PUBLIC}"\n'
    with Server(folder / "data", settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name under ours lead to this machine, as the zone of a real cloud does."""
    monkeypatch.setattr(socket, "getaddrinfo", _getaddrinfo)


_REAL = socket.getaddrinfo


def _getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
    ours = str(host).endswith(("localhost", NAME))
    return _REAL("127.0.0.1" if ours else host, *rest, **more)


def client(server: Server, service: str, host: str, region: str = "us-east-1") -> Any:
    said = server.environment()
    return boto3.client(
        service,
        endpoint_url=f"http://{host}:{server.port}",
        region_name=region,
        aws_access_key_id=said["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=said["AWS_SECRET_ACCESS_KEY"],
        config=VIRTUAL.merge(PRESIGNED) if service == "s3" else VIRTUAL,
    )


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("localhost", "one"),
        ("s3.localhost", "two"),
        ("s3.us-east-1.localhost", "three"),
        (NAME, "four"),
        (f"s3.us-east-1.{NAME}", "five"),
        (f"s3.dualstack.us-east-1.{NAME}", "six"),
    ],
)
def test_boto3_finds_a_bucket_in_the_name_of_the_host(
    served: Server, host: str, bucket: str
) -> None:
    s3 = client(served, "s3", host)
    sent: list[str] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.url))
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a/b c", Body=b"hello")
    assert s3.get_object(Bucket=bucket, Key="a/b c")["Body"].read() == b"hello"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/b c"]
    assert all(url.startswith(f"http://{bucket}.{host}:") for url in sent)
    # By path it is the same bucket.
    by_path = served.client("s3").get_object(Bucket=bucket, Key="a/b c")
    assert by_path["Body"].read() == b"hello"


def test_curl_follows_a_presigned_url_of_a_dotted_bucket(served: Server) -> None:
    s3 = client(served, "s3", f"s3.us-east-1.{NAME}")
    s3.create_bucket(Bucket="my.dotted.bucket")
    s3.put_object(Bucket="my.dotted.bucket", Key="k", Body=b"dots")
    url = s3.generate_presigned_url("get_object", {"Bucket": "my.dotted.bucket", "Key": "k"})
    host = f"my.dotted.bucket.s3.us-east-1.{NAME}"
    assert url.startswith(f"http://{host}:{served.port}/k?")
    resolve = ["--resolve", f"{host}:{served.port}:127.0.0.1"]
    done = subprocess.run(["curl", "-sS", *resolve, url], capture_output=True, check=True)
    assert done.stdout == b"dots"


def test_env_names_the_public_url_while_the_server_runs(served: Server) -> None:
    assert served.environment()["AWS_ENDPOINT_URL"] == PUBLIC


def test_urls_in_answers_begin_with_the_public_url(served: Server) -> None:
    for host, prefix in (
        ("127.0.0.1", f"{PUBLIC}/public"),
        (NAME, "https://public.s3.us-east-1.cloud.example:8443"),
    ):
        s3 = client(served, "s3", host)
        s3.create_bucket(Bucket="public")
        upload = s3.create_multipart_upload(Bucket="public", Key="k")["UploadId"]
        named = {"Bucket": "public", "Key": "k", "UploadId": upload}
        etag = s3.upload_part(**named, PartNumber=1, Body=b"x")["ETag"]
        made = s3.complete_multipart_upload(
            **named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
        )
        assert made["Location"] == f"{prefix}/k"


def test_services_have_names_with_their_regions(served: Server) -> None:
    table = {
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    europe = client(served, "dynamodb", f"dynamodb.eu-west-1.{NAME}", "eu-west-1")
    europe.create_table(TableName="by-host", **table)
    assert europe.list_tables()["TableNames"] == ["by-host"]
    wrong = client(served, "dynamodb", f"dynamodb.eu-west-1.{NAME}")
    with pytest.raises(ClientError) as error:
        wrong.list_tables()
    assert error.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert "valid region" in error.value.response["Error"]["Message"]
    other = client(served, "lambda", f"dynamodb.us-east-1.{NAME}")
    with pytest.raises(ClientError) as error:
        other.list_functions()
    assert "scoped to correct service: 'dynamodb'" in error.value.response["Error"]["Message"]


def test_an_account_based_endpoint_serves_its_account(served: Server) -> None:
    account = served.environment()["AWS_ACCOUNT_ID"]
    mine = client(served, "dynamodb", f"{account}.ddb.us-east-1.{NAME}")
    assert mine.list_tables()["TableNames"] == []
    with pytest.raises(ClientError) as error:
        client(served, "dynamodb", f"000000000001.ddb.us-east-1.{NAME}").list_tables()
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize("kind", ["website", "accelerate"])
def test_names_of_what_is_not_built_say_so(served: Server, kind: str) -> None:
    s3 = client(served, "s3", f"s3-{kind}.{NAME}")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="photos", Key="index.html")
    said = error.value.response
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert said["Error"]["Message"] == f"fogbank has not built the {kind} endpoints of s3"


def test_version_4a_holds_over_sockets(served: Server) -> None:
    said = served.environment()
    session = botocore.session.get_session()
    s3 = session.create_client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=said["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=said["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4a"),
    )
    sent: list[Any] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.headers))
    served.client("s3").create_bucket(Bucket="asymmetric")
    s3.put_object(Bucket="asymmetric", Key="a b", Body=b"x" * 100_000)
    assert len(s3.get_object(Bucket="asymmetric", Key="a b")["Body"].read()) == 100_000
    assert sent[0]["Authorization"].startswith(b"AWS4-ECDSA-P256-SHA256 ")
    signer = CrtS3SigV4AsymQueryAuth(None, "s3", "*", expires=60)
    signer.credentials = Credentials(said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"])
    request = AWSRequest("GET", f"{served.endpoint}/asymmetric/a%20b")
    signer.add_auth(request)
    done = subprocess.run(["curl", "-sS", request.url], capture_output=True, check=True)
    assert done.stdout == b"x" * 100_000


def aws(server: Server, folder: Path, host: str, *arguments: str) -> str:
    """Run aws-cli in us-east-1 with buckets in the names of hosts."""
    (folder / "sitecustomize.py").write_text(RESOLVER)
    (folder / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    said = server.environment()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [AWS, "--endpoint-url", f"http://{host}:{server.port}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            **clean,
            "PYTHONPATH": str(folder),
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": said["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": said["AWS_SECRET_ACCESS_KEY"],
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", f"s3.{NAME}"])
def test_aws_cli_follows_to_the_region_of_a_bucket(
    served: Server, tmp_path: Path, host: str
) -> None:
    bucket = f"region-{len(host)}"
    where = "LocationConstraint=eu-central-1"
    aws(
        served,
        tmp_path,
        host,
        "s3api",
        "create-bucket",
        "--bucket",
        bucket,
        "--create-bucket-configuration",
        where,
    )
    (tmp_path / "file").write_text("far away")
    aws(served, tmp_path, host, "s3", "cp", str(tmp_path / "file"), f"s3://{bucket}/k")
    aws(served, tmp_path, host, "s3", "cp", f"s3://{bucket}/k", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "far away"
    head = aws(served, tmp_path, host, "s3api", "head-bucket", "--bucket", bucket)
    assert '"BucketRegion": "eu-central-1"' in head
    assert "k" in aws(served, tmp_path, host, "s3", "ls", f"s3://{bucket}/")
