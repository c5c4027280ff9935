"""What other services ask in process, on behalf of whoever asked them.

Source: AWS KMS Developer Guide, "AWS managed keys" and "kms:ViaService"; Amazon S3 User Guide,
"Using server-side encryption with AWS KMS keys"; IAM User Guide, "Forward access sessions".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.wire.kms.conftest import document, key_policy, root_of, statement

from fogbank.base.errors import ServiceError
from fogbank.platform.identity.principal import Principal
from fogbank.testing.cloud import Cloud

CONTEXT = {"aws:s3:arn": "arn:aws:s3:::bucket/key"}


class Through:
    """Calls KMS as a service does, for a user of the account."""

    def __init__(self, cloud: Cloud, name: str, *statements: dict[str, Any]) -> None:
        keys = cloud.create_user(name, document(*statements) if statements else None)
        self._cloud = cloud
        proof = cloud.run(cloud.app.identity.credential(keys.access_key_id, ""))
        assert proof is not None
        self.principal: Principal = proof.principal

    def __call__(self, operation: str, *, via: str = "s3", **request: Any) -> Any:
        calls = self._cloud.app.facilities.calls
        return self._cloud.run(
            calls.call(
                "kms",
                operation,
                request,
                principal=self.principal,
                region="us-east-1",
                via=via,
            )
        )

    def denied(self, operation: str, **request: Any) -> bool:
        with pytest.raises(ServiceError) as caught:
            self(operation, **request)
        assert caught.value.code == "AccessDeniedException"
        return True


def test_a_service_makes_and_opens_data_keys_for_its_caller(cloud: Cloud, key: str) -> None:
    through = Through(cloud, "writer", statement(["kms:GenerateDataKey", "kms:Decrypt"]))
    made = through("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert (made["KeyId"], len(made["Plaintext"])) == (key, 32)
    opened = through("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    with pytest.raises(ServiceError) as caught:
        through("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext={})
    assert caught.value.code == "InvalidCiphertextException"


def test_a_caller_without_leave_gets_nothing_through_a_service(cloud: Cloud, key: str) -> None:
    nobody = Through(cloud, "nobody")
    assert nobody.denied("GenerateDataKey", KeyId=key, KeySpec="AES_256")


def test_a_policy_may_let_a_key_be_used_through_one_service_only(
    cloud: Cloud, kms: Any, key: str, account: str, refusal: Any, user: Any
) -> None:
    condition = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    through = Through(cloud, "reader", statement("kms:*", Condition=condition))
    through("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    assert through.denied("GenerateDataKey", via="dynamodb", KeyId=key, KeySpec="AES_256")
    assert through.denied("GenerateDataKey", via="", KeyId=key, KeySpec="AES_256")
    deny = {"Bool": {"aws:ViaAWSService": "false"}}
    policy = key_policy(
        statement("kms:*", Principal=root_of(account)),
        statement("kms:Encrypt", "Deny", Principal="*", Condition=deny),
    )
    kms.put_key_policy(KeyId=key, Policy=policy)
    client = user("direct", statement("kms:*"))
    assert refusal(client.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    through("Encrypt", KeyId=key, Plaintext=b"x")


def test_a_service_uses_a_grant_of_its_caller(
    cloud: Cloud, kms: Any, key: str, account: str
) -> None:
    through = Through(cloud, "granted")
    assert through.denied("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    kms.create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{account}:user/granted",
        Operations=["GenerateDataKey"],
        Constraints={"EncryptionContextSubset": CONTEXT},
    )
    made = through("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert made["KeyId"] == key
    assert through.denied("GenerateDataKey", KeyId=key, KeySpec="AES_256")


@pytest.mark.parametrize("service", ["s3", "dynamodb", "lambda"])
def test_a_service_has_a_key_of_its_own_from_its_first_use_on(
    cloud: Cloud, kms: Any, refusal: Any, service: str
) -> None:
    alias = f"alias/aws/{service}"
    through = Through(cloud, "anyone")
    assert kms.list_aliases()["Aliases"] == []
    asked = {"KeyId": alias, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    made = through("GenerateDataKey", via=service, **asked)
    again = through("GenerateDataKey", via=service, **asked)
    assert made["KeyId"] == again["KeyId"]
    told = kms.describe_key(KeyId=alias)["KeyMetadata"]
    assert (told["KeyManager"], told["Arn"], told["KeyState"]) == ("AWS", made["KeyId"], "Enabled")
    assert kms.get_key_rotation_status(KeyId=told["KeyId"])["RotationPeriodInDays"] == 365
    assert [each["AliasName"] for each in kms.list_aliases()["Aliases"]] == [alias]
    opened = through(
        "Decrypt",
        via=service,
        CiphertextBlob=made["CiphertextBlob"],
        EncryptionContext=CONTEXT,
    )
    assert opened["Plaintext"] == made["Plaintext"]
    # Nobody uses it but through the service, not even the account's root.
    said = refusal(kms.decrypt, CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert said[0] == "AccessDeniedException"


def test_describing_the_alias_of_a_service_makes_its_key(kms: Any, refusal: Any) -> None:
    """Source: API Reference, DescribeKey: a predefined AWS alias with no key ID."""
    told = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert told["KeyManager"] == "AWS"
    assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyId"] == told["KeyId"]
    assert refusal(kms.describe_key, KeyId="alias/aws/none")[0] == "NotFoundException"
    assert refusal(kms.encrypt, KeyId="alias/aws/lambda", Plaintext=b"x")[0] == "NotFoundException"


def test_nobody_changes_the_key_of_a_service(
    kms: Any, key: str, account: str, refusal: Any
) -> None:
    """Source: "AWS managed keys": you cannot change, rotate, schedule them for deletion."""
    own = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyId"]
    policy = key_policy(statement("kms:*", Principal=root_of(account)))
    for asked, given in (
        (kms.schedule_key_deletion, {}),
        (kms.disable_key, {}),
        (kms.disable_key_rotation, {}),
        (kms.rotate_key_on_demand, {}),
        (kms.put_key_policy, {"Policy": policy}),
        (kms.update_key_description, {"Description": "x"}),
        (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        (
            kms.create_grant,
            {"GranteePrincipal": root_of(account)["AWS"], "Operations": ["Decrypt"]},
        ),
    ):
        assert refusal(asked, KeyId=own, **given)[0] == "AccessDeniedException"
    for name in ("alias/mine", "alias/aws/s3"):
        assert refusal(kms.create_alias, AliasName=name, TargetKeyId=own)[0] in {
            "AccessDeniedException",
            "NotAuthorizedException",
        }
    for asked, given in ((kms.delete_alias, {}), (kms.update_alias, {"TargetKeyId": key})):
        said = refusal(asked, AliasName="alias/aws/s3", **given)
        assert said[0] == "NotAuthorizedException"
    shown = json.loads(kms.get_key_policy(KeyId=own)["Policy"])
    assert shown["Id"] == "auto-s3-2"


def test_the_key_of_a_service_is_of_one_account(cloud: Cloud, kms: Any, stranger: Any) -> None:
    mine = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    other = stranger.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    assert mine != other
    with pytest.raises(stranger.exceptions.ClientError, match="AccessDenied"):
        stranger.describe_key(KeyId=mine)
