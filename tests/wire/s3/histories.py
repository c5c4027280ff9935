"""Steps of histories of a bucket and of its model: for ``test_machine.py``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from tests.wire.s3.model import (
    DAY_MS,
    KEYS,
    Model,
    Protection,
    Refused,
    Rule,
    Version,
    listed,
)
from tests.wire.s3.walking import (
    pages_of_objects,
    pages_of_objects_v2,
    pages_of_uploads,
    pages_of_versions,
)

from fogbank.testing.cloud import Cloud

_numbers = count()
LARGE = 70_000
"""A body that does not lie in the record."""
MARKERS = ("", "a", "a/", "a/bb", "b", "ä")
MODES = ("GOVERNANCE", "COMPLIANCE")
key_of = st.sampled_from(KEYS)
which_of = st.integers(0, 5)
protections = st.one_of(
    st.none(),
    st.builds(
        lambda mode, seconds, hold: (mode, seconds, hold),
        st.sampled_from(("", *MODES)),
        st.integers(1, 40),
        st.booleans(),
    ),
)
rules = st.builds(
    Rule,
    prefix=st.sampled_from(("", "a/")),
    days=st.sampled_from((None, 1, 2)),
    lone_markers=st.booleans(),
    noncurrent_days=st.sampled_from((None, 1, 2)),
    noncurrent_kept=st.sampled_from((None, 1)),
    upload_days=st.sampled_from((None, 1)),
)


class Held(RuleBasedStateMachine):
    """One bucket, the model of it, and what compares them."""

    def __init__(self, cloud: Cloud, s3: Any) -> None:
        super().__init__()
        self.cloud = cloud
        self.s3 = s3
        self.bodies = 0
        self.bucket = f"history-{next(_numbers)}"

    @initialize(locked=st.booleans())
    def begin(self, *, locked: bool) -> None:
        # A history that is tried again begins at the same time of day.
        self.cloud.advance(DAY_MS - self.now_ms % DAY_MS)
        self.s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=locked)
        self.model = Model(locked=locked)

    # What they share.

    @property
    def now_ms(self) -> int:
        return self.cloud.clock.now_ms()

    def until(self, seconds: int) -> int:
        """Return a moment so many seconds ahead, in whole ones."""
        return (self.now_ms // 1000 + seconds) * 1000

    def body(self) -> bytes:
        self.bodies += 1
        return b"%d" % self.bodies * (LARGE if self.bodies % 3 == 0 else 1)

    def ask(self, call: Callable[..., Any], wanted: Callable[[], Any], **given: Any) -> Any:
        """Ask the bucket what the model is asked too: both answer, or refuse for one reason."""
        code = refusal_of(wanted)
        if not code:
            return call(Bucket=self.bucket, **given)
        with pytest.raises(ClientError) as caught:
            call(Bucket=self.bucket, **given)
        assert caught.value.response["Error"]["Code"] == code
        return None

    def protection(self, given: Any) -> tuple[Protection | None, dict[str, Any]]:
        """Return a protection and the headers that ask for it, where the bucket has locks."""
        if given is None or not self.model.locked:
            return None, {}
        mode, seconds, hold = given
        asked = Protection(mode, self.until(seconds) if mode else 0, hold)
        headers: dict[str, Any] = {}
        if mode:
            headers["ObjectLockMode"] = mode
            headers["ObjectLockRetainUntilDate"] = moment(asked.until_ms)
        if hold:
            headers["ObjectLockLegalHoldStatus"] = "ON"
        return asked, headers

    def keep(
        self, key: str, reply: Any, content: bytes | None, asked: Protection | None = None
    ) -> None:
        """Have the model keep what was put, copied, or marked as deleted."""
        protection = Protection()
        if content is not None:
            protection = self.model.new_protection(asked, self.now_ms)
        version_id = reply.get("VersionId", "null")
        self.model.put(key, Version(version_id, content, self.now_ms, protection))

    def chosen(self, key: str, which: int) -> Version | None:
        held = self.model.keys[key]
        return held[which % len(held)] if held else None

    # Listings.

    @rule(
        size=st.sampled_from((1, 2, 3, 1000)),
        prefix=st.sampled_from(("", "a", "a/")),
        delimiter=st.sampled_from(("", "/")),
        marker=st.sampled_from(MARKERS),
    )
    def look(self, size: int, prefix: str, delimiter: str, marker: str) -> None:
        """Page through every listing from a marker on."""
        given = {"Bucket": self.bucket, "Prefix": prefix, "Delimiter": delimiter}
        for pages, entries, passes in (
            (pages_of_versions, self.model.versions(), True),
            (pages_of_objects, self.model.objects(), True),
            (pages_of_objects_v2, self.model.objects(), False),
            (pages_of_uploads, self.model.open_uploads(), True),
        ):
            wanted = listed(entries, prefix, delimiter, marker, passes=passes)
            at = 0
            for page, more in pages(self.s3, given, size, marker):
                assert sorted(page) == sorted(wanted[at : at + size]), pages
                at += size
                assert more == (at < len(wanted)), pages
            assert at >= len(wanted), pages

    def compare(self) -> None:
        """Compare all that is there with the model."""
        self.look(1000, "", "", "")
        for key, versions in self.model.keys.items():
            for version in versions:
                if version.content is not None:
                    self.compare_version(key, version)
            assert self.read(key) == getattr(self.model.current(key), "content", None)
        for upload_id, upload in self.model.uploads.items():
            named = {"Bucket": self.bucket, "Key": upload.key, "UploadId": upload_id}
            parts = self.s3.list_parts(**named).get("Parts", [])
            assert {each["PartNumber"]: each["Size"] for each in parts} == {
                number: len(content) for number, content in upload.parts.items()
            }

    def compare_version(self, key: str, version: Version) -> None:
        got = self.s3.get_object(Bucket=self.bucket, Key=key, VersionId=version.id)
        assert got["Body"].read() == version.content
        told = Protection(
            got.get("ObjectLockMode", ""),
            round(got["ObjectLockRetainUntilDate"].timestamp() * 1000)
            if "ObjectLockMode" in got
            else 0,
            got.get("ObjectLockLegalHoldStatus") == "ON",
        )
        assert told == version.protection

    def read(self, key: str) -> bytes | None:
        """Return the current object of a key, or None if there is none."""
        try:
            got: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return got


class Versions(Held):
    """What is done with versions, Object Lock and lifecycle rules."""

    # Versions.

    @rule(key=key_of, given=protections, times=st.integers(1, 2))
    def put(self, key: str, given: Any, times: int) -> None:
        asked, headers = self.protection(given)
        for _ in range(times):
            content = self.body()
            reply = self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, **headers)
            assert ("VersionId" in reply) == (self.model.status == "Enabled")
            self.keep(key, reply, content, asked)

    @rule(key=key_of)
    def delete(self, key: str) -> None:
        reply = self.s3.delete_object(Bucket=self.bucket, Key=key)
        if self.model.status:
            assert "VersionId" in reply
            self.keep(key, reply, None)
        else:
            self.model.remove(key, "null", self.now_ms)

    @rule(key=key_of, which=which_of, bypass=st.booleans())
    def remove(self, key: str, which: int, *, bypass: bool) -> None:
        version = self.chosen(key, which)
        if version is not None:
            self.remove_version(key, version, bypass=bypass)

    def remove_version(self, key: str, version: Version, *, bypass: bool) -> None:
        bypass = bypass and self.model.locked
        more = {"BypassGovernanceRetention": True} if bypass else {}
        self.ask(
            self.s3.delete_object,
            lambda: self.model.remove(key, version.id, self.now_ms, bypass=bypass),
            Key=key,
            VersionId=version.id,
            **more,
        )

    @precondition(lambda self: self.model.locked)
    @rule(
        key=key_of,
        mode=st.sampled_from(MODES),
        hold=st.booleans(),
        default=st.booleans(),
        wait=st.booleans(),
    )
    def guard(self, key: str, mode: str, *, hold: bool, default: bool, wait: bool) -> None:
        """Put a version that is protected, and try all to be rid of it."""
        if default:
            self.retain_by_default((mode, 1))
        self.put(key, None if default else (mode, 10, hold), 1)
        version = self.model.keys[key][0]
        self.remove_version(key, version, bypass=False)
        if wait:
            self.wait(11)
        for bypass in (False, True):
            if version in self.model.keys[key]:
                self.remove_version(key, version, bypass=bypass)
        if default:
            self.retain_by_default(None)

    @rule(key=key_of)
    def remove_all(self, key: str) -> None:
        doomed = [{"Key": key, "VersionId": each.id} for each in self.model.keys[key]]
        if not doomed:
            return
        reply = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": doomed})
        refused = {each["VersionId"]: each["Code"] for each in reply.get("Errors", [])}
        for each in doomed:
            name = each["VersionId"]
            code = refusal_of(partial(self.model.remove, key, name, self.now_ms))
            assert refused.pop(name, "") == code
        assert not refused

    @rule(key=key_of, which=which_of, to=key_of)
    def copy(self, key: str, which: int, to: str) -> None:
        version = self.chosen(key, which)
        if version is None or version.content is None:
            return
        source = {"Bucket": self.bucket, "Key": key, "VersionId": version.id}
        if key != to or self.model.status:
            reply = self.s3.copy_object(Bucket=self.bucket, Key=to, CopySource=source)
            assert ("VersionId" in reply) == bool(self.model.status)
            self.keep(to, reply, version.content)

    @precondition(lambda self: not self.model.locked)
    @rule(key=key_of, steps=st.lists(st.booleans(), min_size=3, max_size=5))
    def suspend(self, key: str, steps: list[bool]) -> None:
        """Put and delete, and suspend versioning or enable it again in between."""
        for puts in steps:
            self.put(key, None, 1) if puts else self.delete(key)
            self.switch("Suspended" if self.model.status == "Enabled" else "Enabled")

    @rule(status=st.sampled_from(("Enabled", "Suspended")))
    def switch(self, status: str) -> None:
        def wanted() -> None:
            if status == "Suspended":
                self.model.suspend()
            self.model.status = status

        given = {"VersioningConfiguration": {"Status": status}}
        self.ask(self.s3.put_bucket_versioning, wanted, **given)

    # Object Lock.

    @precondition(lambda self: self.model.locked)
    @rule(default=st.one_of(st.none(), st.tuples(st.sampled_from(MODES), st.integers(1, 3))))
    def switch_default(self, default: tuple[str, int] | None) -> None:
        self.retain_by_default(default)

    def retain_by_default(self, default: tuple[str, int] | None) -> None:
        lock: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
        if default is not None:
            lock["Rule"] = {"DefaultRetention": {"Mode": default[0], "Days": default[1]}}
        self.s3.put_object_lock_configuration(Bucket=self.bucket, ObjectLockConfiguration=lock)
        self.model.default = default

    @precondition(lambda self: self.model.locked)
    @rule(
        key=key_of,
        which=which_of,
        mode=st.sampled_from(("", *MODES)),
        seconds=st.integers(1, 40),
        bypass=st.booleans(),
    )
    def retain(self, key: str, which: int, mode: str, seconds: int, *, bypass: bool) -> None:
        version = self.chosen(key, which)
        if version is not None and version.content is not None:
            self.retain_version(key, version, (mode, seconds), bypass=bypass)

    @precondition(lambda self: self.model.locked)
    @rule(
        key=key_of,
        mode=st.sampled_from(MODES),
        other=st.sampled_from(("", *MODES)),
        seconds=st.sampled_from((5, 30)),
    )
    def retain_again(self, key: str, mode: str, other: str, seconds: int) -> None:
        """Put a version that is retained, and retain it otherwise: longer, less long, not at all."""
        self.put(key, (mode, 20, False), 1)
        version = self.model.keys[key][0]
        for bypass in (False, True):
            self.retain_version(key, version, (other, seconds), bypass=bypass)

    def retain_version(
        self, key: str, version: Version, wanted: tuple[str, int], *, bypass: bool
    ) -> None:
        mode, seconds = wanted
        until_ms = self.until(seconds) if mode else 0
        retention = {"Mode": mode, "RetainUntilDate": moment(until_ms)} if mode else {}
        self.ask(
            self.s3.put_object_retention,
            lambda: self.model.retain(version, mode, until_ms, self.now_ms, bypass=bypass),
            Key=key,
            VersionId=version.id,
            Retention=retention,
            BypassGovernanceRetention=bypass,
        )

    @precondition(lambda self: self.model.locked)
    @rule(key=key_of, which=which_of, hold=st.booleans())
    def hold(self, key: str, which: int, *, hold: bool) -> None:
        version = self.chosen(key, which)
        if version is None or version.content is None:
            return
        named = {"Bucket": self.bucket, "Key": key, "VersionId": version.id}
        self.s3.put_object_legal_hold(**named, LegalHold={"Status": "ON" if hold else "OFF"})
        version.protection.hold = hold

    # Lifecycle.

    @rule(given=st.one_of(st.none(), rules))
    def rule_lifecycle(self, given: Rule | None) -> None:
        if given is None or document_of(given) is None:
            self.s3.delete_bucket_lifecycle(Bucket=self.bucket)
            self.model.rule = None
            return
        configuration = {"Rules": [document_of(given)]}
        self.s3.put_bucket_lifecycle_configuration(
            Bucket=self.bucket, LifecycleConfiguration=configuration
        )
        lone = given.lone_markers and given.days is None
        self.model.rule = given._replace(lone_markers=lone)

    @rule(given=rules, key=key_of, times=st.integers(1, 4), deletes=st.booleans())
    def live(self, given: Rule, key: str, times: int, *, deletes: bool) -> None:
        """Have a rule and some versions of a key, and let time pass until they go."""
        self.rule_lifecycle(given)
        self.put(key, None, times)
        if deletes:
            self.delete(key)
        for _ in range(3):
            self.wait(11)

    @precondition(lambda self: self.model.status)
    @rule(key=key_of)
    def leave_marker(self, key: str) -> None:
        """Leave a key nothing but a delete marker, under rules that leave it and that take it."""
        self.remove_all(key)
        self.delete(key)
        for lone in (False, True):
            self.rule_lifecycle(Rule("", None, lone, None, None, 1))
            self.wait(11)

    @rule(seconds=st.sampled_from((1, 9, 31)))
    def wait(self, seconds: int) -> None:
        before_ms = self.now_ms
        self.cloud.advance(seconds * 1000)
        self.model.pass_time(before_ms, self.now_ms)
        self.name_markers()
        self.compare()

    def name_markers(self) -> None:
        """Tell the model the ids of the markers that lifecycle rules have put."""
        found = self.s3.list_object_versions(Bucket=self.bucket).get("DeleteMarkers", [])
        newest = {each["Key"]: each["VersionId"] for each in found if each["IsLatest"]}
        for key, versions in self.model.keys.items():
            if versions and not versions[0].id:
                versions[0].id = newest[key]


def refusal_of(call: Callable[[], Any]) -> str:
    """Return why the model refuses, or nothing."""
    try:
        call()
    except Refused as refused:
        return str(refused)
    return ""


def moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def document_of(given: Rule) -> dict[str, Any] | None:
    """Return a rule as it is put, or None if it does nothing."""
    rule: dict[str, Any] = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": given.prefix}}
    if given.days is not None:
        rule["Expiration"] = {"Days": given.days}
    elif given.lone_markers:
        rule["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    if given.noncurrent_days is not None:
        noncurrent = {"NoncurrentDays": given.noncurrent_days}
        if given.noncurrent_kept is not None:
            noncurrent["NewerNoncurrentVersions"] = given.noncurrent_kept
        rule["NoncurrentVersionExpiration"] = noncurrent
    if given.upload_days is not None:
        rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": given.upload_days}
    return rule if len(rule) > len(("ID", "Status", "Filter")) else None
