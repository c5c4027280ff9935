"""Keys, aliases and grants as clients see them.

Source: API Reference, the data types KeyMetadata, AliasListEntry, GrantListEntry and
RotationsListEntry; members as recorded in LocalStack's validated ``TestKMS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fogbank.base.arn import global_arn, partition_of
from fogbank.contract.action import Scope
from fogbank.services.kms.arns import alias_arn, key_arn
from fogbank.services.kms.rules.specs import SPECS
from fogbank.services.kms.schema import (
    AliasRecord,
    GrantRecord,
    KeyRecord,
    MaterialRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes


def key_metadata(
    account: str, region: str, key: KeyRecord, material: MaterialRecord
) -> shapes.KeyMetadata:
    """Return what DescribeKey says of a key."""
    spec = SPECS[key.spec]
    view: shapes.KeyMetadata = {
        "AWSAccountId": account,
        "KeyId": key.id,
        "Arn": key_arn(region, account, key.id),
        "CreationDate": key.created_ms,
        "Enabled": key.enabled,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": False,
    }
    if spec.digest:
        view["MacAlgorithms"] = [spec.algorithm]
    else:
        view["EncryptionAlgorithms"] = [spec.algorithm]
        view["CurrentKeyMaterialId"] = material.id
    if key.deletion_ms:
        view["DeletionDate"] = key.deletion_ms
    return view


def alias_view(scope: Scope, alias: AliasRecord) -> shapes.AliasListEntry:
    """Return what ListAliases says of an alias."""
    return {
        "AliasName": alias.name,
        "AliasArn": alias_arn(scope.region, scope.account, alias.name),
        "TargetKeyId": alias.key_id,
        "CreationDate": alias.created_ms,
        "LastUpdatedDate": alias.updated_ms,
    }


def grant_view(account: str, region: str, grant: GrantRecord) -> shapes.GrantListEntry:
    """Return what ListGrants says of a grant."""
    view: shapes.GrantListEntry = {
        "KeyId": key_arn(region, account, grant.key_id),
        "GrantId": grant.id,
        "Name": grant.name,
        "CreationDate": grant.created_ms,
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": global_arn(partition_of(region), "iam", grant.issuer, "root"),
        "Operations": list(grant.operations),
    }
    if grant.retiring:
        view["RetiringPrincipal"] = grant.retiring
    if grant.equals is not None:
        view["Constraints"] = {"EncryptionContextEquals": grant.equals}
    elif grant.subset is not None:
        view["Constraints"] = {"EncryptionContextSubset": grant.subset}
    return view


def rotation_view(
    key: KeyRecord, number: int, material: MaterialRecord
) -> shapes.RotationsListEntry:
    """Return what ListKeyRotations says of a version of a key's material."""
    current = number == key.material
    view: shapes.RotationsListEntry = {
        "KeyId": key.id,
        "KeyMaterialId": material.id,
        "KeyMaterialState": "CURRENT" if current else "NON_CURRENT",
    }
    if material.kind:
        view["RotationDate"] = material.created_ms
        view["RotationType"] = material.kind
    return view
