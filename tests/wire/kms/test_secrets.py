"""Key material is shown to nobody: not in an answer, not in a log line, not in the audit trail."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fogbank.platform.store.engine import SYSTEM_PREFIX, Transaction
from fogbank.platform.store.keyspace import AUDIT
from fogbank.services.kms.rules.names import domain_of
from fogbank.services.kms.schema import MATERIALS
from fogbank.testing.cloud import Cloud


def materials(cloud: Cloud, account: str) -> list[bytes]:
    async def body(tr: Transaction) -> list[bytes]:
        return [material.secret for _, material in await MATERIALS.list(tr, limit=100)]

    return cloud.run(cloud.engine.store_of(domain_of(account, "us-east-1")).read(body))


def test_no_answer_log_or_record_has_material(
    cloud: Cloud, kms: Any, key: str, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [kms.describe_key(KeyId=key)]
    said.append(kms.encrypt(KeyId=key, Plaintext=b"planted-plain", EncryptionContext={"a": "1"}))
    blob = said[-1]["CiphertextBlob"]
    said.append(kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"}))
    with pytest.raises(ClientError):
        kms.decrypt(CiphertextBlob=blob)
    said.append(kms.rotate_key_on_demand(KeyId=key))
    said.append(kms.generate_data_key(KeyId=key, KeySpec="AES_256"))
    said.append(kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL"))
    mac = kms.create_key(KeySpec="HMAC_512", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    said.append(kms.generate_mac(KeyId=mac, MacAlgorithm="HMAC_SHA_512", Message=b"x"))
    cloud.run(cloud.app.trail.flush())
    trail = SYSTEM_PREFIX + bytes((AUDIT,))
    rows = [value for name, value in cloud.engine.rows.items() if name.startswith(trail)]
    whole = b"\n".join([*rows, repr(said).encode(), caplog.text.encode()])
    secrets = materials(cloud, account)
    assert len(secrets) == 3
    assert b"RotateKeyOnDemand" in whole
    for secret in secrets:
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:-4]):
            assert form not in whole
        assert repr(secret)[2:-1].encode() not in whole
    # What was encrypted, and data keys, are in answers alone.
    kept = b"\n".join(rows)
    for plain in (b"planted-plain", said[4]["Plaintext"]):
        assert plain not in kept
        assert base64.b64encode(plain)[:-4] not in kept
