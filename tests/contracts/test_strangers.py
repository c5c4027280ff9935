"""Nobody but its owner's account gets anything of a bucket that says nothing of who may reach it.

Every operation of S3 that is built and names a bucket, whatever else it asks for: another account's
root and who signs nothing are refused, and what lies in the bucket is as it was. Source: Amazon S3
User Guide, "Access control in Amazon S3": "all Amazon S3 resources are private".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.contracts.made_up import smallest
from tests.contracts.registry import OPERATIONS, Built

from fogbank.testing.cloud import Cloud

OURS = [
    each
    for each in OPERATIONS
    if each.service.model == "s3"
    and each.model.input is not None
    and "Bucket" in each.model.input.members
    and each.model.name != "CreateBucket"
]
BUCKET = "private"
VALUE = b"of its owner"
DENIED = {"AccessDenied"}


class Scene:
    """A bucket with an object, two strangers, and an upload under way."""

    def __init__(self, cloud: Cloud) -> None:
        self.owner = cloud.client("s3")
        self.owner.create_bucket(Bucket=BUCKET, ObjectOwnership="ObjectWriter")
        self.owner.delete_public_access_block(Bucket=BUCKET)
        self.owner.put_object(Bucket=BUCKET, Key="k", Body=VALUE, Tagging="a=b")
        upload = self.owner.create_multipart_upload(Bucket=BUCKET, Key="k")
        self.upload = upload["UploadId"]
        made = cloud.run(cloud.app.identity.create_account("stranger"))
        other = cloud.client("s3", access_key=made.access_key_id, secret_key=made.secret_access_key)
        other.create_bucket(Bucket="own", ObjectOwnership="ObjectWriter")
        other.put_object(Bucket="own", Key="k", Body=b"own")
        nobody = cloud.client("s3", config=Config(signature_version=UNSIGNED))
        self.strangers = {"another account": other, "nobody": nobody}

    def request(self, built: Built) -> dict[str, Any]:
        """Return a request about what is there."""
        given = {**smallest("s3", built.model.name), "Bucket": BUCKET}
        members = built.model.input.members if built.model.input is not None else {}
        named = {"Key": "k", "UploadId": self.upload, "CopySource": "own/k"}
        return {**given, **{name: value for name, value in named.items() if name in members}}


def codes_of(call: Any, request: dict[str, Any]) -> set[str]:
    """Return the codes that a call was refused with; of several keys each is refused by itself."""
    try:
        reply = call(**request)
    except ClientError as error:
        return {error.response["Error"]["Code"].replace("403", "AccessDenied")}  # HEAD has no body
    assert not reply.get("Deleted"), reply
    return {each["Code"] for each in reply.get("Errors", [])}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Cloud(replay=True) as cloud:
        yield Scene(cloud)


@pytest.mark.parametrize("who", ["another account", "nobody"])
@pytest.mark.parametrize("built", OURS, ids=str)
def test_a_stranger_gets_nothing_of_a_bucket(scene: Scene, built: Built, who: str) -> None:
    before = scene.owner.get_object(Bucket=BUCKET, Key="k")["LastModified"]
    assert codes_of(getattr(scene.strangers[who], built.function), scene.request(built)) == DENIED
    got = scene.owner.get_object(Bucket=BUCKET, Key="k")
    assert (got["Body"].read(), got["LastModified"], got["TagCount"]) == (VALUE, before, 1)
    assert scene.owner.list_parts(Bucket=BUCKET, Key="k", UploadId=scene.upload)["UploadId"]
    assert scene.owner.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None


def test_a_stranger_copies_nothing_out_of_a_bucket(scene: Scene) -> None:
    other = scene.strangers["another account"]
    stolen = {"Bucket": "own", "Key": "stolen"}
    copy = {**stolen, "CopySource": f"{BUCKET}/k"}
    assert codes_of(other.copy_object, copy) == DENIED
    upload = other.create_multipart_upload(**stolen)["UploadId"]
    assert codes_of(other.upload_part_copy, {**copy, "UploadId": upload, "PartNumber": 1}) == DENIED
