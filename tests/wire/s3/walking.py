"""Every listing of a bucket, page by page: for ``test_machine.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.wire.s3.model import Entry

Pages = Iterator[tuple[list[Entry], bool]]
"""The entries of each page, and whether more follow."""


def prefixes_of(page: Any) -> list[Entry]:
    return [Entry(each["Prefix"]) for each in page.get("CommonPrefixes", [])]


def pages_of_versions(s3: Any, given: Any, size: int, marker: str) -> Pages:
    places = {"KeyMarker": marker}
    while True:
        page = s3.list_object_versions(**given, **places, MaxKeys=size)
        found = [
            Entry(each["Key"], each["VersionId"], each["IsLatest"], member == "DeleteMarkers")
            for member in ("Versions", "DeleteMarkers")
            for each in page.get(member, [])
        ]
        yield found + prefixes_of(page), page["IsTruncated"]
        if not page["IsTruncated"]:
            return
        places = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            places["VersionIdMarker"] = page["NextVersionIdMarker"]


def pages_of_objects(s3: Any, given: Any, size: int, marker: str) -> Pages:
    while True:
        page = s3.list_objects(**given, Marker=marker, MaxKeys=size)
        found = [Entry(each["Key"]) for each in page.get("Contents", [])]
        yield found + prefixes_of(page), page["IsTruncated"]
        if not page["IsTruncated"]:
            return
        # AWS: without a delimiter the last key of the page is the next marker.
        marker = page.get("NextMarker") or found[-1].key


def pages_of_objects_v2(s3: Any, given: Any, size: int, marker: str) -> Pages:
    place = {"StartAfter": marker}
    while True:
        page = s3.list_objects_v2(**given, **place, MaxKeys=size)
        found = [Entry(each["Key"]) for each in page.get("Contents", [])]
        assert page["KeyCount"] == len(found + prefixes_of(page))
        yield found + prefixes_of(page), page["IsTruncated"]
        if not page["IsTruncated"]:
            return
        place = {"ContinuationToken": page["NextContinuationToken"]}


def pages_of_uploads(s3: Any, given: Any, size: int, marker: str) -> Pages:
    places = {"KeyMarker": marker}
    while True:
        page = s3.list_multipart_uploads(**given, **places, MaxUploads=size)
        found = [Entry(each["Key"], each["UploadId"]) for each in page.get("Uploads", [])]
        yield found + prefixes_of(page), page["IsTruncated"]
        if not page["IsTruncated"]:
            return
        places = {"KeyMarker": page["NextKeyMarker"]}
        if page["NextUploadIdMarker"]:
            places["UploadIdMarker"] = page["NextUploadIdMarker"]
