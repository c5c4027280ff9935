"""KMS: keys whose material never leaves, and what they encrypt.

Read ``rules/ciphertexts`` for what a ciphertext is, ``state/permitted`` for how a key is found and
decided on, ``rules/grants`` for what stands beside its policy; ``docs/services/kms.md`` has what
differs from AWS.
"""

from __future__ import annotations

from fogbank.contract.facet import ResourcePolicies, ResourceTags, StoredKeys
from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.kms import quotas, schema
from fogbank.services.kms.jobs import JOBS
from fogbank.services.kms.operations import (
    aliases,
    ciphers,
    deletions,
    grants,
    keys,
    macs,
    policies,
    rotations,
    tags,
)
from fogbank.services.kms.rules import names
from fogbank.services.kms.state import grants as granted
from fogbank.services.kms.state import keys as kept

SERVICE = Service(
    model="kms",
    operations=(aliases, ciphers, deletions, grants, keys, macs, policies, rotations, tags),
    jobs=JOBS,
    tables=schema.TABLES,
    policies=ResourcePolicies(
        domain=names.find_arn_domain,
        find=kept.find_standing,
        required=True,
        further=granted.find_further,
    ),
    tags=ResourceTags(domain=names.find_arn_domain, find=kept.find_tags),
    stored_keys=StoredKeys(
        names=frozenset({"kms:resourcealiases"}),
        domain=names.find_arn_domain,
        find=kept.find_stored_keys,
    ),
    body=BodyLimit(quotas.REQUEST_BYTES),
)
