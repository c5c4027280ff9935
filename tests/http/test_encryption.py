"""A whole server: what users hand over lies open in no file, and the keys are the operator's."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fogbank.testing.server import Server, StartFailed

pytestmark = [pytest.mark.http, pytest.mark.slow]

PLANTED = "planted-7c0ffee7-plaintext"
LARGE = (PLANTED + "-of-a-large-object ").encode() * 200_000
BUCKETS = ("bucket-a", "bucket-b", "bucket-c", "bucket-d")
OPEN = {"credentials.json", "root.key", "server.json"}
"""What is the operator's own: the first two are secrets in files of mode 0600."""
WORDS = "correct horse battery staple"
WAIT_S = 60.0


def wait_until(what: str, done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def plant(server: Server) -> str:
    """Hand over secrets of every kind; return a secret key of a user."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="small", Body=PLANTED.encode(), Metadata={"m": PLANTED})
    s3.put_object(Bucket="bucket", Key="large", Body=LARGE)
    dynamodb = server.client("dynamodb")
    dynamodb.create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for n in range(50):
        item = {"id": {"S": f"{PLANTED} {n}"}, "secret": {"S": f"{PLANTED} item {n}" * 20}}
        dynamodb.put_item(TableName="table", Item=item)
    logs = server.client("logs")
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")
    events = [{"timestamp": 1_700_000_000_000, "message": f"{PLANTED} line"}]
    logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=events)
    iam = server.client("iam")
    iam.create_user(UserName="user")
    key = iam.create_access_key(UserName="user")["AccessKey"]
    return str(key["SecretAccessKey"])


def look(server: Server) -> None:
    """Read back what was planted."""
    s3, dynamodb = server.client("s3"), server.client("dynamodb")
    assert s3.get_object(Bucket="bucket", Key="large")["Body"].read() == LARGE
    part = s3.get_object(Bucket="bucket", Key="large", Range="bytes=1048570-1048600")
    assert part["Body"].read() == LARGE[1_048_570:1_048_601]
    item = dynamodb.get_item(TableName="table", Key={"id": {"S": f"{PLANTED} 7"}})["Item"]
    assert item["secret"]["S"] == f"{PLANTED} item 7" * 20


def open_files(data_dir: Path, *planted: str) -> list[str]:
    """Return the files that hold one of the texts, as it is or as base64 or hex would show it."""
    found: list[str] = []
    for path in sorted(data_dir.rglob("*")):
        if path.is_file() and path.name not in OPEN:
            raw = path.read_bytes()
            if raw[:2] == b"\x1f\x8b":
                raw += gzip.decompress(raw)
            found += [f"{path}: {text}" for text in planted if text.encode() in raw]
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as running:
        yield running


def test_what_users_hand_over_lies_open_in_no_file_running_killed_or_stopped(
    server: Server,
) -> None:
    secret = plant(server)
    data_dir = server.data_dir
    assert open_files(data_dir, PLANTED, secret) == []
    server.kill()
    assert open_files(data_dir, PLANTED, secret) == []
    server.start()
    look(server)
    assert server.stop() == 0
    assert open_files(data_dir, PLANTED, secret) == []
    done = server.run("check")
    assert (done.returncode, done.stdout) == (0, "")
    server.start()


def test_no_secret_is_in_the_command_lines_or_environments_of_the_processes(
    server: Server,
) -> None:
    plant(server)
    key = (server.data_dir / "root.key").read_text().strip()
    for pid in server.processes():
        for name in ("cmdline", "environ"):
            raw = Path(f"/proc/{pid}/{name}").read_bytes()
            assert key.encode() not in raw
            assert bytes.fromhex(key) not in raw


def test_a_lost_or_other_root_key_ends_the_start_with_the_reason_and_harms_nothing(
    server: Server,
) -> None:
    plant(server)
    assert server.stop() == 0
    path = server.data_dir / "root.key"
    key = path.read_bytes()
    path.unlink()
    with pytest.raises(StartFailed, match=r"root\.key cannot be read"):
        server.start()
    lost = server.run("check")
    assert lost.returncode == 1
    assert "cannot be read" in lost.stdout
    assert "no key was given: not checked are" in lost.stdout
    path.write_bytes(b"0" * 64)
    path.chmod(0o600)
    with pytest.raises(StartFailed, match="not the one that sealed this store"):
        server.start()
    wrong = server.run("check")
    assert (wrong.returncode, "not the one" in wrong.stdout) == (1, True)
    path.write_bytes(key)
    server.start()
    look(server)


def test_keys_are_rotated_and_sealed_by_a_passphrase_and_back(server: Server) -> None:
    plant(server)
    assert "data key 2 seals" in server.run("key", "rotate").stdout
    assert server.stop() == 0
    assert "data key 3 seals" in server.run("key", "rotate").stdout
    words = server.data_dir.parent / "words"
    words.write_text(WORDS)
    words.chmod(0o600)
    done = server.run("key", "seal", "--by", "passphrase", "--passphrase-file", str(words))
    assert "3 data keys are sealed by the new secret" in done.stdout, done.stderr
    with pytest.raises(StartFailed, match="set FOGBANK_PASSPHRASE"):
        server.start()
    server._variables = {"FOGBANK_PASSPHRASE": "incorrect horse battery"}
    with pytest.raises(StartFailed, match="passphrase is not the one"):
        server.start()
    server._variables = {"FOGBANK_PASSPHRASE": WORDS}
    server.start()
    look(server)
    for pid, what in server.processes().items():
        if what != "supervisor":
            assert WORDS.encode() not in Path(f"/proc/{pid}/environ").read_bytes(), what
    assert server.stop() == 0
    assert "sealed by: passphrase\ndata keys: 3" in server.run("key", "status").stdout
    assert server.run("check").returncode == 0
    (server.data_dir / "root.key").unlink()
    assert server.run("key", "seal", "--by", "file").returncode == 0
    server._variables = {}
    server.start()
    look(server)


def test_keys_of_several_stores_are_rotated_under_writes_and_kill_9_leaves_all_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path / "data", settings="[processes]\nstores = 2\nfronts = 1\n")
    server.start()
    s3, written = server.client("s3"), []
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)

    def write(turn: int) -> None:
        for bucket in BUCKETS:
            for size in (100, 90_000):
                s3.put_object(Bucket=bucket, Key=f"{turn}/{size}", Body=bytes([turn]) * size)
                written.append((bucket, f"{turn}/{size}", bytes([turn]) * size))

    for turn in range(3):
        write(turn)
        with subprocess.Popen(server._command("key", "rotate"), stdout=subprocess.PIPE) as running:
            while running.poll() is None:
                write(turn)
            assert running.stdout is not None
            said = running.stdout.read().decode()
        for number in range(2):
            assert f"store-{number}: data key {turn + 2} seals" in said
        write(turn)
        if turn:
            server.kill()
            server.start()
            s3 = server.client("s3")
    listed = server.run("key", "list").stdout.splitlines()
    assert len(listed) == 8
    assert listed[3].startswith("store-0: data key 4 of 20")
    assert listed[3].endswith("seals what is written")
    assert listed[0].endswith("opens what is older")
    for bucket, key, body in written:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert server.stop() == 0
    assert server.run("check").returncode == 0
    assert server.run("key", "list").stdout.splitlines() == listed
    sealed = server.run("key", "seal", "--by", "file", "--root-key-file", "other.key")
    assert "8 data keys are sealed by the new secret" in sealed.stdout
    monkeypatch.setenv("FOGBANK_ENCRYPTION_ROOT_KEY_FILE", "other.key")
    (server.data_dir / "root.key").unlink()
    with server:
        bucket, key, body = written[0]
        assert server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == body


def test_after_a_rotation_all_is_sealed_anew_and_the_older_key_can_be_dropped(
    server: Server,
) -> None:
    plant(server)
    assert "data key 2 seals" in server.run("key", "rotate").stdout
    refused = server.run("key", "drop")
    wait_until(
        "everything under the new key",
        lambda: "sealed anew: everything, with data key 2" in server.run("key", "status").stdout,
    )
    if refused.returncode:  # it was asked for before the pass had ended
        assert "still being sealed anew" in refused.stderr
        assert server.run("key", "drop").stdout == "data keys dropped: 1\n"
    assert "sealed anew everything, with data key 2" in server.run("doctor").stdout
    assert "sealed    everything, with data key 2" in server.run("status").stdout
    look(server)
    server.kill()
    server.start()
    look(server)
    assert "data keys: 1" in server.run("key", "status").stdout
    assert server.stop() == 0
    assert server.run("check").returncode == 0
    assert server.run("key", "drop").stdout == "data keys there is no older one\n"
    server.start()


def test_another_secret_seals_the_keys_while_two_stores_serve_and_a_killed_one_opens_with_it(
    tmp_path: Path,
) -> None:
    words = tmp_path / "words"
    words.write_text(WORDS)
    words.chmod(0o600)
    server = Server(tmp_path / "data", settings="[processes]\nstores = 2\n")
    with server:
        s3 = server.client("s3")
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=bucket)
            s3.put_object(Bucket=bucket, Key="large", Body=LARGE)
        short = tmp_path / "short"
        short.write_text("short")
        short.chmod(0o600)
        refused = server.run("key", "seal", "--by", "passphrase", "--passphrase-file", str(short))
        assert refused.returncode == 1
        assert "has at least 12 characters" in refused.stderr
        done = server.run("key", "seal", "--by", "passphrase", "--passphrase-file", str(words))
        assert "2 data keys are sealed by the new secret" in done.stdout, done.stderr
        (server.data_dir / "root.key").unlink()
        for number in range(2):
            running = json.loads(server.run("status", "--format", "json").stdout)["processes"]
            os.kill(next(each["pid"] for each in running if each["role"] == f"store {number}"), 9)
            wait_until("the store process", lambda: all_are_read(server))
        assert "data key 2 seals" in server.run("key", "rotate").stdout
        said = (tmp_path / "server.log").read_text()
        assert WORDS not in said
        assert server.stop() == 0
        with pytest.raises(StartFailed, match="set FOGBANK_PASSPHRASE"):
            server.start()
        server._variables = {"FOGBANK_PASSPHRASE": WORDS}
        server.start()
        assert all_are_read(server)


def all_are_read(server: Server) -> bool:
    """Return whether the object of every bucket can be read now."""
    s3 = server.client("s3")
    try:
        bodies = [s3.get_object(Bucket=name, Key="large")["Body"].read() for name in BUCKETS]
    except (ClientError, BotoCoreError):
        return False
    assert bodies == [LARGE] * len(BUCKETS)
    return True


def test_encryption_can_be_turned_off_and_doctor_says_so(tmp_path: Path) -> None:
    settings = "[encryption]\nenabled = false\n"
    with Server(tmp_path / "data", settings=settings) as server:
        server._variables = {"FOGBANK_CONFIG": str(tmp_path / "fogbank.toml")}
        plant(server)
        assert len(open_files(server.data_dir, PLANTED)) > 1
        assert not (server.data_dir / "root.key").exists()
        assert not (server.data_dir / "store" / "keyring").exists()
        said = server.run("doctor").stdout
        assert "OFF by encryption.enabled: WHAT IS WRITTEN LIES OPEN" in said
        assert server.stop() == 0
        (tmp_path / "fogbank.toml").write_text("")
        server.start()
        look(server)
        assert "AES-256-GCM; the root key is" in server.run("doctor").stdout
        assert server.stop() == 0
        (tmp_path / "fogbank.toml").write_text(settings)
        server.start()
        look(server)
        assert "what was encrypted before stays so" in server.run("doctor").stdout


def test_a_damaged_object_is_answered_with_an_internal_error_and_no_byte_of_it(
    server: Server,
) -> None:
    plant(server)
    s3 = server.client("s3")
    for path in (server.data_dir / "store" / "blobs").rglob("*.blob"):
        raw = bytearray(path.read_bytes())
        raw[9] ^= 1
        path.write_bytes(raw)
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="bucket", Key="large")
    assert caught.value.response["Error"]["Code"] == "InternalError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    # What lies in another frame is whole.
    body = s3.get_object(Bucket="bucket", Key="large", Range="bytes=2000000-2000009")["Body"]
    assert body.read() == LARGE[2_000_000:2_000_010]
    assert server.stop() == 0
    done = server.run("check")
    assert done.returncode == 1
    assert "frame 0 of the body is damaged" in done.stdout
    server.start()
