"""Random histories of a bucket answer as a simple model does: ``model.py``.

Versions, Object Lock, lifecycle rules on virtual time, uploads in parts, appends, renames, and every listing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.wire.s3.growing import Grown
from tests.wire.s3.histories import MARKERS, key_of, protections, which_of
from tests.wire.s3.model import (
    DAY_MS,
    PART_BYTES_MIN,
    REMEMBERED_MS,
    Refused,
    Upload,
)

from fogbank.server.config import Config
from fogbank.testing.cloud import Cloud

BIG = b"p" * PART_BYTES_MIN


class Bucket(Grown):
    """All that is done with a bucket."""

    def teardown(self) -> None:
        self.compare()
        for delimiter in ("", "/"):
            for marker in MARKERS:
                self.look(2, "", delimiter, marker)
        self.s3.delete_bucket_lifecycle(Bucket=self.bucket)
        for upload_id, upload in self.model.uploads.items():
            named = {"Bucket": self.bucket, "Key": upload.key, "UploadId": upload_id}
            self.s3.abort_multipart_upload(**named)

    # Uploads.

    @rule(key=key_of, given=protections)
    def begin_upload(self, key: str, given: Any) -> None:
        self.begun_upload(key, given)

    def begun_upload(self, key: str, given: Any) -> str:
        asked, headers = self.protection(given)
        reply = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key, **headers)
        upload_id: str = reply["UploadId"]
        self.model.uploads[upload_id] = Upload(key, self.now_ms, asked)
        return upload_id

    @rule(key=key_of, given=protections, big=st.booleans())
    def upload(self, key: str, given: Any, *, big: bool) -> None:
        """Send two parts and complete them, at once."""
        upload_id = self.begun_upload(key, given)
        which = list(self.model.uploads).index(upload_id)
        self.send_part(which, 1, big=big)
        self.send_part(which, 2, big=False)
        self.complete(which)
        if upload_id in self.model.completed:
            for same in (True, False):
                self.complete_again(list(self.model.completed).index(upload_id), same=same)

    def chosen_upload(self, which: int) -> tuple[str, Upload, dict[str, Any]]:
        upload_id = list(self.model.uploads)[which % len(self.model.uploads)]
        upload = self.model.uploads[upload_id]
        return upload_id, upload, {"Bucket": self.bucket, "Key": upload.key, "UploadId": upload_id}

    @precondition(lambda self: self.model.uploads)
    @rule(which=which_of, number=st.sampled_from((1, 2, 10_000)), big=st.booleans())
    def send_part(self, which: int, number: int, *, big: bool) -> None:
        _, upload, named = self.chosen_upload(which)
        content = BIG if big and number == 1 else self.body()
        reply = self.s3.upload_part(**named, PartNumber=number, Body=content)
        assert reply["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
        upload.parts[number] = content

    @precondition(lambda self: self.model.uploads)
    @rule(which=which_of, number=st.sampled_from((1, 2)), key=key_of, version=which_of)
    def copy_part(self, which: int, number: int, key: str, version: int) -> None:
        source = self.chosen(key, version)
        if source is None or not source.content:
            return
        _, upload, named = self.chosen_upload(which)
        origin = {"Bucket": self.bucket, "Key": key, "VersionId": source.id}
        self.s3.upload_part_copy(**named, PartNumber=number, CopySource=origin)
        upload.parts[number] = source.content

    @precondition(lambda self: self.model.uploads)
    @rule(which=which_of)
    def complete(self, which: int) -> None:
        upload_id, upload, named = self.chosen_upload(which)
        if not upload.parts:
            return

        def wanted() -> None:
            if not upload.is_completable():
                raise Refused("EntityTooSmall")

        del named["Bucket"]
        parts = parts_of(upload)
        reply = self.ask(self.s3.complete_multipart_upload, wanted, **named, MultipartUpload=parts)
        if reply is not None:
            assert reply["ETag"] == f'"{upload.etag()}"'
            assert ("VersionId" in reply) == (self.model.status == "Enabled")
            self.model.complete(upload_id, self.now_ms, reply.get("VersionId"))

    @precondition(lambda self: self.model.completed)
    @rule(which=which_of, same=st.booleans())
    def complete_again(self, which: int, *, same: bool) -> None:
        upload_id = list(self.model.completed)[which % len(self.model.completed)]
        upload, version_id, at_ms = self.model.completed[upload_id]
        parts = parts_of(upload)
        if not same:
            parts["Parts"].append({"PartNumber": 10_000, "ETag": '"0"'})

        def wanted() -> None:
            if not same or self.now_ms >= at_ms + REMEMBERED_MS:
                raise Refused("NoSuchUpload")

        named = {"Key": upload.key, "UploadId": upload_id}
        reply = self.ask(self.s3.complete_multipart_upload, wanted, **named, MultipartUpload=parts)
        if reply is not None:
            assert reply["ETag"] == f'"{upload.etag()}"'
            assert reply.get("VersionId") == version_id

    @precondition(lambda self: self.model.uploads)
    @rule(which=which_of)
    def abort(self, which: int) -> None:
        upload_id, _, named = self.chosen_upload(which)
        self.s3.abort_multipart_upload(**named)
        del self.model.uploads[upload_id]
        with pytest.raises(self.s3.exceptions.NoSuchUpload):
            self.s3.abort_multipart_upload(**named)


def parts_of(upload: Upload) -> dict[str, Any]:
    """Return the list that completes an upload."""
    return {
        "Parts": [
            {"PartNumber": number, "ETag": hashlib.md5(upload.parts[number]).hexdigest()}
            for number in sorted(upload.parts)
        ]
    }


@pytest.fixture
def hasty() -> Iterator[Cloud]:
    """Return a cloud with short days of lifecycle rules."""
    with Cloud(replay=True, config=Config(quotas={"s3.lifecycle_day_s": DAY_MS // 1000})) as made:
        yield made


@pytest.mark.slow
def test_random_histories_of_a_bucket_answer_as_the_model(
    hasty: Cloud, pytestconfig: pytest.Config
) -> None:
    soak = pytestconfig.getoption("--soak")
    histories = 400 if soak else 24
    run_state_machine_as_test(
        partial(Bucket, hasty, hasty.client("s3")),
        settings=settings(
            max_examples=histories,
            stateful_step_count=30,
            derandomize=not soak,
            # A history that fails is short enough to read; making it shorter takes minutes.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(hasty.client("s3").list_buckets()["Buckets"]) >= histories
