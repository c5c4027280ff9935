"""What a bucket should do, as simple as it can be said: the model of ``test_machine.py``.

A key is a list of versions, the newest first; an upload is its parts. Source: Amazon S3 User Guide,
"How S3 Versioning works", "Appending data to objects in directory buckets", "Renaming objects in
directory buckets", "Working with objects in a versioning-suspended bucket", "Locking objects
with Object Lock", "Lifecycle configuration elements", "Multipart upload process", "Listing object
keys programmatically".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

KEYS = ("a", "a/b", "a/c", "ä")
PART_BYTES_MIN = 5 << 20
DAY_MS = 10_000
"""A day of lifecycle rules in these tests."""
RETENTION_DAY_MS = 86_400_000
REMEMBERED_MS = 86_400_000
"""How long completing an upload twice is known for what it is."""
PROTECTED = "AccessDenied"
NOT_BUILT = "NotImplemented"
"""Where there are versions."""


class Refused(Exception):
    """What is asked for is refused, with this code."""


@dataclass
class Protection:
    mode: str = ""
    until_ms: int = 0
    hold: bool = False


@dataclass
class Version:
    id: str
    content: bytes | None
    """None is a delete marker."""
    modified_ms: int
    protection: Protection = field(default_factory=Protection)

    def protects(self, now_ms: int, *, bypass: bool = False) -> bool:
        yields = bypass and self.protection.mode == "GOVERNANCE"
        return self.protection.hold or (self.protection.until_ms > now_ms and not yields)


@dataclass
class Upload:
    key: str
    began_ms: int
    asked: Protection | None
    parts: dict[int, bytes] = field(default_factory=dict)

    def content(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))

    def etag(self) -> str:
        digests = [hashlib.md5(self.parts[number]).digest() for number in sorted(self.parts)]
        return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"

    def is_completable(self) -> bool:
        return all(len(self.parts[number]) >= PART_BYTES_MIN for number in sorted(self.parts)[:-1])


class Completed(NamedTuple):
    """An upload that became an object."""

    upload: Upload
    version_id: str | None
    at_ms: int


class Rule(NamedTuple):
    """A lifecycle rule; None: it does not say."""

    prefix: str
    days: int | None
    lone_markers: bool
    noncurrent_days: int | None
    noncurrent_kept: int | None
    upload_days: int | None


class Entry(NamedTuple):
    """What a listing shows: a version, an object, an upload, or a common prefix (without an id)."""

    key: str
    id: str = ""
    latest: bool = False
    marker: bool = False


def over_ms(since_ms: int, days: int) -> int:
    """Return the midnight behind an age."""
    return ((since_ms + days * DAY_MS) // DAY_MS + 1) * DAY_MS


class Model:
    """What one bucket should hold."""

    def __init__(self, *, locked: bool) -> None:
        self.locked = locked
        self.status = "Enabled" if locked else ""
        self.default: tuple[str, int] | None = None
        """The default retention: mode and days."""
        self.keys: dict[str, list[Version]] = {key: [] for key in KEYS}
        self.uploads: dict[str, Upload] = {}
        self.completed: dict[str, Completed] = {}
        self.rule: Rule | None = None

    # Versions.

    def current(self, key: str) -> Version | None:
        versions = self.keys[key]
        return versions[0] if versions and versions[0].content is not None else None

    def new_protection(self, asked: Protection | None, now_ms: int) -> Protection:
        """Return how a new version is protected."""
        asked = asked or Protection()
        if self.default is None or asked.mode:
            return Protection(asked.mode, asked.until_ms, asked.hold)
        mode, days = self.default
        return Protection(mode, now_ms + days * RETENTION_DAY_MS, asked.hold)

    def put(self, key: str, version: Version) -> None:
        versions = self.keys[key]
        if version.id == "null":
            versions[:] = [each for each in versions if each.id != "null"]
        versions.insert(0, version)

    def remove(self, key: str, version_id: str, now_ms: int, *, bypass: bool = False) -> None:
        for each in self.keys[key]:
            if each.id == version_id and each.protects(now_ms, bypass=bypass):
                raise Refused(PROTECTED)
        self.keys[key] = [each for each in self.keys[key] if each.id != version_id]

    def suspend(self) -> None:
        if self.locked:
            raise Refused("InvalidBucketState")
        self.status = "Suspended"

    def retain(
        self, version: Version, mode: str, until_ms: int, now_ms: int, *, bypass: bool
    ) -> None:
        """Give a version another retention, or none."""
        old = version.protection
        less = mode != old.mode or until_ms < old.until_ms
        yields = bypass and old.mode == "GOVERNANCE"
        if old.until_ms > now_ms and less and not yields:
            raise Refused(PROTECTED)
        version.protection = Protection(mode, until_ms, old.hold)

    # The ends and the keys of objects.

    def append(self, key: str, offset: int, content: bytes, now_ms: int) -> None:
        """Put bytes at the end of an object, or begin one."""
        if self.status:
            raise Refused(NOT_BUILT)
        current = self.current(key)
        before = b"" if current is None or current.content is None else current.content
        if offset != len(before):
            raise Refused("InvalidWriteOffset")
        self.put(key, Version("null", before + content, now_ms))

    def rename(self, key: str, to: str, *, spares: bool) -> None:
        """Give an object another key; with ``spares`` nothing is written over."""
        if key == to:
            raise Refused("InvalidRequest")
        if self.status:
            raise Refused(NOT_BUILT)
        current = self.current(key)
        if current is None:
            raise Refused("NoSuchKey")
        if spares and self.current(to) is not None:
            raise Refused("PreconditionFailed")
        self.keys[key], self.keys[to] = [], [current]

    # Uploads.

    def complete(self, upload_id: str, now_ms: int, version_id: str | None) -> None:
        upload = self.uploads.pop(upload_id)
        protection = self.new_protection(upload.asked, now_ms)
        self.put(upload.key, Version(version_id or "null", upload.content(), now_ms, protection))
        self.completed[upload_id] = Completed(upload, version_id, now_ms)

    # Time.

    def pass_time(self, before_ms: int, now_ms: int) -> None:
        """Apply the lifecycle rule at each midnight that has passed."""
        midnight_ms = (before_ms // DAY_MS + 1) * DAY_MS
        while midnight_ms <= now_ms:
            if self.rule is not None:
                self.apply(self.rule, midnight_ms)
            midnight_ms += DAY_MS

    def apply(self, rule: Rule, now_ms: int) -> None:
        for key in KEYS:
            if key.startswith(rule.prefix):
                self._expire_noncurrent(rule, key, now_ms)
                self._expire_marker(rule, key, now_ms)
                self._expire_current(rule, key, now_ms)
        if rule.upload_days is not None:
            self.uploads = {
                name: upload
                for name, upload in self.uploads.items()
                if not upload.key.startswith(rule.prefix)
                or over_ms(upload.began_ms, rule.upload_days) > now_ms
            }

    def _expire_noncurrent(self, rule: Rule, key: str, now_ms: int) -> None:
        if rule.noncurrent_days is None:
            return
        versions = self.keys[key]
        left = versions[:1]
        for newer, (above, each) in enumerate(pairwise(versions)):
            aged = over_ms(above.modified_ms, rule.noncurrent_days) <= now_ms
            goes = newer >= (rule.noncurrent_kept or 0) and aged and not each.protects(now_ms)
            left += [] if goes else [each]
        self.keys[key] = left

    def _expire_marker(self, rule: Rule, key: str, now_ms: int) -> None:
        versions = self.keys[key]
        if len(versions) != 1 or versions[0].content is not None:
            return
        aged = rule.days is not None and over_ms(versions[0].modified_ms, rule.days) <= now_ms
        if rule.lone_markers or aged:
            self.keys[key] = []

    def _expire_current(self, rule: Rule, key: str, now_ms: int) -> None:
        current = self.current(key)
        if rule.days is None or current is None:
            return
        if over_ms(current.modified_ms, rule.days) > now_ms:
            return
        if not self.status:
            self.keys[key] = []
        else:
            version_id = "" if self.status == "Enabled" else "null"
            self.put(key, Version(version_id, None, now_ms))

    # Listings.

    def versions(self) -> list[Entry]:
        return [
            Entry(key, each.id, index == 0, each.content is None)
            for key in sorted(KEYS, key=str.encode)
            for index, each in enumerate(self.keys[key])
        ]

    def objects(self) -> list[Entry]:
        return [Entry(key) for key in sorted(KEYS, key=str.encode) if self.current(key)]

    def open_uploads(self) -> list[Entry]:
        found = [Entry(upload.key, name) for name, upload in self.uploads.items()]
        return sorted(found, key=lambda entry: (entry.key.encode(), entry.id))


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """Return what a key is shown as, or nothing where it is shown itself."""
    if not delimiter or delimiter not in key[len(prefix) :]:
        return ""
    return key[: key.index(delimiter, len(prefix)) + len(delimiter)]


def listed(
    entries: Sequence[Entry], prefix: str, delimiter: str, marker: str, *, passes: bool = True
) -> list[Entry]:
    """Return what a listing shows of entries.

    Args:
        entries: All, in their order.
        prefix: What keys begin with.
        delimiter: What ends a common prefix; none if empty.
        marker: Behind what it begins.
        passes: Whether a marker inside a common prefix passes over all of it.
    """
    passed = common_prefix(marker, prefix, delimiter) if marker.startswith(prefix) else ""
    shown: list[Entry] = []
    for entry in entries:
        if not entry.key.startswith(prefix) or entry.key.encode() <= marker.encode():
            continue
        common = common_prefix(entry.key, prefix, delimiter)
        if common and passes and common == passed:
            continue
        one = Entry(common) if common else entry
        if not (common and shown and shown[-1] == one):
            shown.append(one)
    return shown
