"""Several store processes and fronts: one cloud, whichever process is asked."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.http.making import document
from tests.http.several import (
    ACCOUNT,
    BUCKETS,
    make_told,
    processes,
    settings,
    store_of,
    wait_until,
)

from fogbank.platform.store.engine import Domain
from fogbank.platform.store.keyspace import shard_of
from fogbank.server.children import MALLOC
from fogbank.testing.server import Server, StartFailed

pytestmark = [pytest.mark.http, pytest.mark.slow]


@pytest.fixture(scope="module", params=[(2, 0), (2, 2), (1, 1)], ids=["2-0", "2-2", "1-1"])
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    stores, fronts = request.param
    data_dir = tmp_path_factory.mktemp("processes") / "data"
    with Server(data_dir, settings=settings(stores, fronts)) as server:
        assert len(processes(server, "process")) == stores
        assert len(processes(server, "front")) == fronts
        s3 = server.client("s3")
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=bucket)
        yield server


def test_the_buckets_of_these_tests_lie_in_both_stores() -> None:
    assert {store_of(bucket) for bucket in BUCKETS} == {0, 1}


def test_what_processes_keep_of_freed_memory_is_bounded(cloud: Server) -> None:
    """Python's C library reads these when a process begins: mallopt(3)."""
    for kind in ("process", "front"):
        for pid in processes(cloud, kind):
            told = Path(f"/proc/{pid}/environ").read_text().split("\0")
            assert {f"{name}={value}" for name, value in MALLOC.items()} <= set(told)


def test_buckets_of_all_stores_are_listed_and_serve_objects_of_every_size(cloud: Server) -> None:
    listed = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
    assert set(BUCKETS) <= set(listed)
    for size in (0, 100, 70_000, 9_000_000):
        for bucket in BUCKETS[:3]:
            s3, body = cloud.client("s3"), os.urandom(size)  # a connection of its own
            s3.put_object(Bucket=bucket, Key=f"k/{size}", Body=body, ChecksumAlgorithm="CRC32C")
            got = s3.get_object(Bucket=bucket, Key=f"k/{size}")
            assert got["Body"].read() == body
            part = (
                s3.get_object(Bucket=bucket, Key=f"k/{size}", Range="bytes=0-9") if size else None
            )
            assert part is None or part["Body"].read() == body[:10]


def test_other_accounts_come_in_by_the_policy_of_a_bucket_wherever_it_lies(cloud: Server) -> None:
    """Presumed in one process, confirmed where the bucket lies, and decided anew."""
    keys = {"id": "2" * 12, "access-key-id": "AKIAOTHERACCOUNTOTHE", "secret-access-key": "s" * 40}
    given = [part for name, value in keys.items() for part in (f"--{name}", value)]
    made = cloud.run("account", "create", "other", *given)
    assert made.returncode == 0, made.stderr
    named = {"aws_access_key_id": keys["access-key-id"], "aws_secret_access_key": "s" * 40}
    s3, theirs = cloud.client("s3"), cloud.client("s3", **named)
    theirs.create_bucket(Bucket="theirs")
    body = os.urandom(70_000)
    for bucket in BUCKETS:
        it = {"Bucket": bucket, "Key": "shared"}
        s3.put_object(**it, Body=body)
        copy = {"Bucket": "theirs", "Key": "copy", "CopySource": f"{bucket}/shared"}
        calls = (
            lambda it=it: theirs.get_object(**it)["Body"].read(),
            lambda it=it: theirs.put_object(**it, Body=body),
            lambda copy=copy: theirs.copy_object(**copy),
        )
        for call in calls:
            with pytest.raises(ClientError, match="AccessDenied"):
                call()
        s3.put_bucket_policy(Bucket=bucket, Policy=shared(bucket, keys["id"]))
        for call in calls:
            call()
        assert theirs.get_object(Bucket="theirs", Key="copy")["Body"].read() == body
        s3.delete_bucket_policy(Bucket=bucket)
        for call in calls:
            with pytest.raises(ClientError, match="AccessDenied"):
                call()


def shared(bucket: str, account: str) -> str:
    """Return a policy that shares the objects of a bucket with another account."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": account},
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_the_cors_rules_of_a_bucket_are_found_wherever_it_lies(cloud: Server) -> None:
    page, s3 = "https://app.example", cloud.client("s3")
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": [page]}
    for bucket in BUCKETS:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    asked = {"Origin": page, "Access-Control-Request-Method": "PUT"}
    for bucket in BUCKETS:
        for headers, status in ((asked, 200), ({**asked, "Origin": "https://other"}, 403)):
            connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
            connection.request("OPTIONS", f"/{bucket}/k", headers=headers)
            answer = connection.getresponse()
            assert answer.status == status
            assert answer.getheader("Access-Control-Allow-Origin") == (
                page if status == 200 else None
            )
            connection.close()
        s3.delete_bucket_cors(Bucket=bucket)


def test_an_object_is_copied_from_one_store_to_another(cloud: Server) -> None:
    source = next(bucket for bucket in BUCKETS if store_of(bucket) == 0)
    target = next(bucket for bucket in BUCKETS if store_of(bucket) == 1)
    s3 = cloud.client("s3")
    for size in (10, 3_000_000):
        body = os.urandom(size)
        s3.put_object(Bucket=source, Key="from", Body=body, Metadata={"colour": "red"})
        s3.copy_object(Bucket=target, Key="to", CopySource=f"{source}/from")
        s3.delete_object(Bucket=source, Key="from")
        got = s3.get_object(Bucket=target, Key="to")
        assert (got["Body"].read(), got["Metadata"]) == (body, {"colour": "red"})


def test_an_error_of_another_process_is_the_services_own(cloud: Server) -> None:
    for bucket in BUCKETS:
        with pytest.raises(ClientError) as caught:
            cloud.client("s3").get_object(Bucket=bucket, Key="missing")
        assert caught.value.response["Error"]["Code"] == "NoSuchKey"
        assert caught.value.response["Error"]["Key"] == "missing"
    with pytest.raises(ClientError) as caught:
        cloud.client("dynamodb").get_item(TableName="missing", Key={"k": {"S": "a"}})
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_an_upload_that_is_not_what_was_promised_is_refused_and_leaves_nothing(
    cloud: Server,
) -> None:
    wrong = base64.b64encode(bytes(32)).decode()
    for bucket in BUCKETS[:3]:
        for size in (10, 600_000):
            with pytest.raises(ClientError, match="BadDigest"):
                cloud.client("s3").put_object(
                    Bucket=bucket, Key="spoiled", Body=os.urandom(size), ChecksumSHA256=wrong
                )
            with pytest.raises(ClientError, match="Not Found"):
                cloud.client("s3").head_object(Bucket=bucket, Key="spoiled")


def is_let_in(server: Server, key: dict[str, str]) -> bool:
    """Ask over a connection of its own, which any of the fronts may take."""
    client = server.client("s3")
    client._request_signer._credentials.access_key = key["AccessKeyId"]
    client._request_signer._credentials.secret_key = key["SecretAccessKey"]
    try:
        client.list_buckets()
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"] != "InvalidAccessKeyId"
    finally:
        client.close()
    return True


def test_a_revocation_that_was_acknowledged_is_in_force_at_once_everywhere(cloud: Server) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="mary")
    iam.put_user_policy(
        UserName="mary",
        PolicyName="p",
        PolicyDocument=document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}),
    )
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            key = iam.create_access_key(UserName="mary")["AccessKey"]
            asked = [threads.submit(is_let_in, cloud, key) for _ in range(16)]
            assert all(each.result() for each in asked)
            iam.delete_access_key(UserName="mary", AccessKeyId=key["AccessKeyId"])
            asked = [threads.submit(is_let_in, cloud, key) for _ in range(16)]
            assert not any(each.result() for each in asked)
    iam.delete_user_policy(UserName="mary", PolicyName="p")
    iam.delete_user(UserName="mary")


def seen(server: Server) -> list[str]:
    logs = server.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/lambda/job", filterPattern="SEEN"
    )
    try:
        return [event["message"].split()[1] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def test_an_event_of_one_store_runs_a_function_of_another_once(cloud: Server) -> None:
    home = shard_of(Domain("lambda", ACCOUNT, "us-east-1"), 2)
    bucket = next(each for each in BUCKETS if store_of(each) != home)
    make_told(cloud, bucket)
    keys = [f"photo-{n}" for n in range(12)]
    with ThreadPoolExecutor(4) as threads:
        for key in keys:
            threads.submit(cloud.client("s3").put_object, Bucket=bucket, Key=key, Body=b"x")
    wait_until("every event in the log", lambda: set(keys) <= set(seen(cloud)))
    assert sorted(seen(cloud)) == sorted(keys)


@pytest.mark.parametrize("kind", ["process", "front"])
def test_a_process_that_dies_is_started_again_alone(cloud: Server, kind: str) -> None:
    before = {each: processes(cloud, each) for each in ("process", "front")}
    if not before[kind]:
        assert kind == "front"
        return
    cloud.client("s3").put_object(Bucket=BUCKETS[0], Key="kept", Body=b"kept")
    victim = before[kind][0]
    os.kill(victim, signal.SIGKILL)

    def is_back() -> bool:
        try:
            for bucket in BUCKETS:
                cloud.client("s3").list_objects_v2(Bucket=bucket)
        except (BotoCoreError, ClientError):
            return False
        return len(processes(cloud, kind)) == len(before[kind])

    wait_until("the process is back", is_back)
    after = {each: processes(cloud, each) for each in ("process", "front")}
    assert victim not in after[kind]
    others = {pid for pids in before.values() for pid in pids} - {victim}
    assert others <= {pid for pids in after.values() for pid in pids}
    got = cloud.client("s3").get_object(Bucket=BUCKETS[0], Key="kept")
    assert got["Body"].read() == b"kept"


@pytest.mark.parametrize("kind", ["process", "front"])
def test_a_process_that_hangs_is_killed_and_started_again_alone(tmp_path: Path, kind: str) -> None:
    """No service manager is needed for it: what hangs here is stopped by a signal."""
    # Longer than a busy machine keeps a process that is well from its turn.
    variables = {"FOGBANK_PROCESSES_HANG_MS": "8000"}
    server = Server(tmp_path / "data", settings=settings(2, 1), variables=variables)
    with server:
        for bucket in BUCKETS:
            server.client("s3").create_bucket(Bucket=bucket)
            server.client("s3").put_object(Bucket=bucket, Key="kept", Body=b"kept")
        before = {each: processes(server, each) for each in ("process", "front")}
        victim = before[kind][-1]
        os.kill(victim, signal.SIGSTOP)
        wait_until("its end", lambda: not Path(f"/proc/{victim}").exists())

        def serves() -> bool:
            try:
                got = [server.client("s3").get_object(Bucket=b, Key="kept") for b in BUCKETS]
            except (BotoCoreError, ClientError):
                return False
            return [each["Body"].read() for each in got] == [b"kept"] * len(BUCKETS)

        wait_until("service", serves)
        after = {each: processes(server, each) for each in ("process", "front")}
    assert victim not in after[kind]
    assert len(after[kind]) == len(before[kind])
    others = {pid for pids in before.values() for pid in pids} - {victim}
    assert others <= {pid for pids in after.values() for pid in pids}


def test_all_processes_die_with_the_supervisor(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings=settings(2, 2))
    server.start()
    everybody = list(server.processes())
    os.kill(server.pid, signal.SIGKILL)
    server._finish()
    wait_until(
        "all processes to end", lambda: not any(Path(f"/proc/{pid}").exists() for pid in everybody)
    )
    server.start()
    assert server.stop() == 0


def test_a_data_directory_keeps_its_number_of_stores_and_is_checked_whole(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings=settings(2, 0))
    with server:
        for bucket in BUCKETS:
            server.client("s3").create_bucket(Bucket=bucket)
    for other in (1, 3):
        with pytest.raises(StartFailed, match=r"processes\.stores = 2"):
            Server(tmp_path / "data", settings=settings(other, 0)).start()
    assert server.run("check").returncode == 0
    (tmp_path / "data" / "store-1" / "rows" / "data.mdb").write_bytes(b"damage")
    done = server.run("check")
    assert done.returncode == 1
    assert "store-1: " in done.stdout


def opened_by(pid: int) -> list[str]:
    """Return what a process has open; files that it closes meanwhile are left out."""
    found: list[str] = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(fd))
    return found


def holder_of(server: Server, client_port: int) -> int:
    """Return the number of the store process that has accepted a connection of ours."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = [row[9] for row in rows if int(row[2].rpartition(":")[2], 16) == client_port]
    held = f"socket:[{next(inode for inode in inodes if inode != '0')}]"
    for pid in processes(server, "process"):
        opened = opened_by(pid)
        if held in opened:
            return int(any(name.endswith("store-1/store.lock") for name in opened))
    raise AssertionError("nobody has the connection")


def connected(server: Server, stack: ExitStack) -> tuple[http.client.HTTPConnection, int]:
    """Return a connection that is kept alive, and the number of the store process that has it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    stack.callback(connection.close)
    connection.request("GET", "/health")
    connection.getresponse().read()
    return connection, holder_of(server, connection.sock.getsockname()[1])


def test_a_forwarded_request_that_was_accepted_is_finished_in_the_drain(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings=settings(2, 0))
    body = os.urandom(2_000_000)
    with server, ExitStack() as stack:
        s3 = server.client("s3", config=Config(signature_version="s3v4"))
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=bucket)
        connection, here = connected(server, stack)
        idle, other = connected(server, stack)
        while other == here:
            idle, other = connected(server, stack)
        there = next(bucket for bucket in BUCKETS if store_of(bucket) == other)
        url = s3.generate_presigned_url("put_object", Params={"Bucket": there, "Key": "late"})
        connection.putrequest("PUT", url.removeprefix(server.endpoint))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        connection.send(body[:1_000_000])
        os.kill(server.pid, signal.SIGTERM)
        assert idle.sock.recv(1) == b""  # the owner of the bucket has drained
        connection.send(body[1_000_000:])
        answer = connection.getresponse()
        assert (answer.read(), answer.status) == (b"", 200)
    with server:
        got = server.client("s3").get_object(Bucket=there, Key="late")
        assert got["Body"].read() == body


def test_failed_proofs_are_bounded_for_the_server_as_a_whole(tmp_path: Path) -> None:
    burst, fronts = 6, 2
    limits = f"[limits]\nfailed_proofs_burst = {burst}\nfailed_proofs_per_second = 1\n"
    with Server(tmp_path / "data", settings=settings(1, fronts) + limits) as server:
        begin = time.monotonic()
        codes: list[str] = []
        for _ in range(30):
            # A connection of its own, which comes to either front.
            wrong = server.client("dynamodb", aws_secret_access_key="wrong")
            with pytest.raises(ClientError) as caught:
                wrong.list_tables()
            codes.append(caught.value.response["Error"]["Code"])
        forgiven = int(time.monotonic() - begin) + 1
    told = codes.count("InvalidSignatureException")
    assert told + codes.count("ThrottlingException") == len(codes)
    assert burst // fronts <= told <= burst + forgiven


def test_calls_of_every_store_are_in_the_audit_trail_when_they_are_answered(tmp_path: Path) -> None:
    """Each store process carries the entries of its own calls with its own groups."""
    # Nothing that merely waits in memory is written before the kill.
    slow = "[audit]\nflush_ms = 60000\n"
    server = Server(tmp_path / "data", settings=settings(2, 1) + slow)
    server.start()
    for bucket in BUCKETS:
        server.client("s3").create_bucket(Bucket=bucket)
        server.client("s3").put_object(Bucket=bucket, Key="kept", Body=b"kept")
    server.kill()
    with server:
        told = server.run("audit", "--event", "PutObject", "--format", "json").stdout
    for bucket in BUCKETS:
        assert bucket in told
