"""S3 Control: the second API of S3, for access points and what an account blocks.

To AWS it is S3: it signs as S3, its actions are ``s3:...``, and what it makes is enforced where buckets
are read. So its operations are rooms of the package ``s3``, and here is its manifest alone.
"""

from __future__ import annotations

from fogbank.contract.operation import BodyLimit
from fogbank.contract.service import Service
from fogbank.services.s3.operations import account_blocks, points, resource_tags
from fogbank.services.s3.state.standing import RESOURCE_TAGS
from fogbank.services.s3control import quotas

SERVICE = Service(
    model="s3control",
    prefix="s3",
    operations=(points, account_blocks, resource_tags),
    tags=RESOURCE_TAGS,
    access_denied="AccessDenied",
    body=BodyLimit(quotas.REQUEST_BYTES),
)
