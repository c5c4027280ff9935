"""Random histories of a versioned bucket answer as a model of the user guide does.

The model is a list of versions for each key, the newest first. Source: Amazon S3 User Guide, "How S3
Versioning works", "Working with objects in a versioning-suspended bucket".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fogbank.testing.cloud import Cloud

KEYS = ("a", "a/b", "ä", "z")
LARGE = 70_000
"""A body that does not lie in the record."""
_numbers = count()


class Version(NamedTuple):
    id: str
    content: bytes | None
    """None is a delete marker."""


class Model:
    """What a bucket should hold."""

    def __init__(self) -> None:
        self.status = ""
        self.keys: dict[str, list[Version]] = {key: [] for key in KEYS}

    def put(self, key: str, version_id: str, content: bytes | None) -> None:
        versions = self.keys[key]
        if version_id == "null":
            versions[:] = [each for each in versions if each.id != "null"]
        versions.insert(0, Version(version_id, content))

    def remove(self, key: str, version_id: str) -> None:
        self.keys[key] = [each for each in self.keys[key] if each.id != version_id]

    def current(self, key: str) -> bytes | None:
        versions = self.keys[key]
        return versions[0].content if versions else None

    def listing(self) -> list[tuple[str, str, bool, bool]]:
        return [
            (key, each.id, index == 0, each.content is None)
            for key in sorted(KEYS, key=str.encode)
            for index, each in enumerate(self.keys[key])
        ]


Step = tuple[str, int, int]
"""What to do, to which key, and to which of its versions or with which body."""
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["put", "put", "delete", "remove", "remove", "copy", "enable", "suspend", "many"]
        ),
        st.integers(0, len(KEYS) - 1),
        st.integers(0, 5),
    ),
    max_size=25,
)


def content_of(number: int) -> bytes:
    return b"%d" % number * (LARGE if number % 3 == 0 else 1)


def take(s3: Any, bucket: str, model: Model, step: Step, number: int) -> None:
    """Take one step with the bucket and with the model."""
    what, at, which = step
    key = KEYS[at]
    named = {"Bucket": bucket, "Key": key}
    held = model.keys[key]
    if what in ("enable", "suspend"):
        status = {"enable": "Enabled", "suspend": "Suspended"}[what]
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        model.status = status
    elif what == "put":
        content = content_of(number)
        reply = s3.put_object(**named, Body=content)
        assert ("VersionId" in reply) == bool(model.status)
        model.put(key, reply.get("VersionId", "null"), content)
    elif what == "delete":
        reply = s3.delete_object(**named)
        if model.status:
            model.put(key, reply["VersionId"], None)
        else:
            model.remove(key, "null")
    elif what == "many":
        doomed = [{"Key": key, "VersionId": each.id} for each in held[which:]]
        if doomed:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed})
        for each in held[which:]:
            model.remove(key, each.id)
    elif held and what == "remove":
        version = held[which % len(held)]
        s3.delete_object(**named, VersionId=version.id)
        model.remove(key, version.id)
    elif held and (version := held[which % len(held)]).content is not None:
        source = {**named, "VersionId": version.id}
        target = KEYS[(at + which) % len(KEYS)]
        if target != key or model.status:
            reply = s3.copy_object(Bucket=bucket, Key=target, CopySource=source)
            model.put(target, reply.get("VersionId", "null"), version.content)


def entries(s3: Any, bucket: str, size: int) -> Iterator[tuple[str, str, bool, bool]]:
    """Yield a listing by pages of a size, each in the order of the document."""
    places: dict[str, str] = {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, **places)
        for member in ("Versions", "DeleteMarkers"):
            for each in page.get(member, []):
                marker = member == "DeleteMarkers"
                yield each["Key"], each["VersionId"], each["IsLatest"], marker
        if not page["IsTruncated"]:
            return
        places = {
            "KeyMarker": page["NextKeyMarker"],
            "VersionIdMarker": page["NextVersionIdMarker"],
        }


def check(s3: Any, bucket: str, model: Model) -> None:
    """Compare everything that can be asked with the model."""
    wanted = model.listing()
    assert list(entries(s3, bucket, 1)) == wanted
    assert sorted(entries(s3, bucket, 1000)) == sorted(wanted)
    listing = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    alive = [key for key in sorted(KEYS, key=str.encode) if model.current(key) is not None]
    assert [each["Key"] for each in listing] == alive
    for key, versions in model.keys.items():
        for version in versions:
            if version.content is not None:
                named = {"Bucket": bucket, "Key": key, "VersionId": version.id}
                assert s3.get_object(**named)["Body"].read() == version.content
        assert read(s3, bucket, key) == model.current(key)


def read(s3: Any, bucket: str, key: str) -> bytes | None:
    """Return the current object of a key, or None if there is none."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


@pytest.mark.slow
def test_random_histories_of_versions_answer_as_the_model(cloud: Cloud) -> None:
    s3 = cloud.client("s3")

    @settings(max_examples=40)
    @given(steps)
    def history(steps: list[Step]) -> None:
        bucket = f"history-{next(_numbers)}"
        s3.create_bucket(Bucket=bucket)
        model = Model()
        for number, step in enumerate(steps, 1):
            take(s3, bucket, model, step, number)
        check(s3, bucket, model)
        for key, versions in model.keys.items():
            for version in versions:
                s3.delete_object(Bucket=bucket, Key=key, VersionId=version.id)
        s3.delete_bucket(Bucket=bucket)

    history()
