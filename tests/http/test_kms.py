"""Keys over several store processes, and after a server was killed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from tests.http.several import ACCOUNT, settings

from fogbank.platform.store.keyspace import shard_of
from fogbank.services.kms.rules.names import domain_of
from fogbank.testing.server import Server

pytestmark = [pytest.mark.http, pytest.mark.slow]
REGION = "us-east-1"
CONTEXT = {"purpose": "test"}


def elsewhere() -> str:
    """Return an account whose keys lie in the other of two stores than ours do."""
    ours = shard_of(domain_of(ACCOUNT, REGION), 2)
    accounts = (f"{number:012}" for number in itertools.count(444455556666))
    return next(each for each in accounts if shard_of(domain_of(each, REGION), 2) != ours)


def test_a_key_of_another_store_is_used_and_all_of_it_survives_a_kill(tmp_path: Path) -> None:
    other, secret = elsewhere(), "s" * 40
    with Server(tmp_path / "data", settings=settings(2, 1)) as server:
        made = server.run(
            *("account", "create", "other", "--id", other),
            *("--access-key-id", "AKIAOTHEROTHEROTHER1", "--secret-access-key", secret),
        )
        assert made.returncode == 0, made.stderr
        keys = {"aws_access_key_id": "AKIAOTHEROTHEROTHER1", "aws_secret_access_key": secret}
        ours, theirs = server.client("kms"), server.client("kms", **keys)
        key = ours.create_key()["KeyMetadata"]["Arn"]
        foreign = theirs.create_key()["KeyMetadata"]["Arn"]
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
            for account in (other, ACCOUNT)
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        theirs.put_key_policy(KeyId=foreign, Policy=policy)
        sealed = ours.encrypt(KeyId=foreign, Plaintext=b"x", EncryptionContext=CONTEXT)
        moved = ours.re_encrypt(
            CiphertextBlob=sealed["CiphertextBlob"],
            SourceEncryptionContext=CONTEXT,
            DestinationKeyId=key,
        )
        assert (moved["SourceKeyId"], moved["KeyId"]) == (foreign, key)
        grant = ours.create_grant(
            KeyId=foreign, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:root", Operations=["Decrypt"]
        )["GrantId"]
        theirs.rotate_key_on_demand(KeyId=foreign)
        server.kill()
        server.start()
        ours, theirs = server.client("kms"), server.client("kms", **keys)
        opened = ours.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
        assert (opened["Plaintext"], opened["KeyId"]) == (b"x", foreign)
        assert ours.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"x"
        assert [each["GrantId"] for each in theirs.list_grants(KeyId=foreign)["Grants"]] == [grant]
        assert len(theirs.list_key_rotations(KeyId=foreign)["Rotations"]) == 1
