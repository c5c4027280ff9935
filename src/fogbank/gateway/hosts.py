"""What a host name says: a service, a region, a bucket.

Rule: only names under the suffixes we were told of say anything; every other host (an address, a
load balancer's name) is the bare endpoint, and buckets stand in the path. What a host name yields
is remembered, a bounded number of names at a time, because clients choose them.

Source: Amazon S3 User Guide, "Virtual hosting of buckets"; AWS General Reference, "AWS service
endpoints".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

HOSTS_REMEMBERED_MAX: Final = 1_024
_AWS: Final = "amazonaws.com"
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_S3: Final = "s3"
_NO_REGION: Final = frozenset(("dualstack", "fips"))


class HostName(NamedTuple):
    """What a host name says; what it does not say is empty."""

    service: str = ""
    """The endpoint prefix, such as ``dynamodb``."""
    region: str = ""
    bucket: str = ""
    """With no service beside it, the name is one of a bucket only if the request is for S3."""


BARE: Final = HostName()


class HostNames:
    """Reads host names under the suffixes of this cloud.

    Args:
        prefixes: The first labels of the services' host names, such as ``dynamodb``.
        public_hosts: Names under which clients reach the server.
    """

    __slots__ = ("_prefixes", "_remembered", "_suffixes")

    def __init__(self, prefixes: Collection[str], public_hosts: Sequence[str]) -> None:
        self._prefixes = frozenset(prefixes)
        names = {"localhost", _AWS, *(name.lower().strip(".") for name in public_hosts)}
        # The longest first: a public host may lie under another.
        self._suffixes = tuple(f".{name}" for name in sorted(names, key=len, reverse=True))
        self._remembered: dict[str, HostName] = {}

    def read(self, host: str) -> HostName:
        """Return what the value of a Host header says."""
        found = self._remembered.get(host)
        if found is None:
            found = self._read(_name_of(host))
            if len(self._remembered) >= HOSTS_REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[host] = found
        return found

    def _read(self, name: str) -> HostName:
        for suffix in self._suffixes:
            if name.endswith(suffix):
                return self._labels(name[: -len(suffix)].split("."), suffix)
        return BARE

    def _labels(self, labels: list[str], suffix: str) -> HostName:
        """Return what the labels before the suffix say."""
        # From the right, because a bucket's name may hold the name of a service.
        for at in range(len(labels) - 1, -1, -1):
            service, region = self._service_of(labels[at])
            rest = [label for label in labels[at + 1 :] if label not in _NO_REGION]
            if not service or len(rest) > 1 or (rest and not _REGION.fullmatch(rest[0])):
                continue
            region = rest[0] if rest else region
            bucket = ".".join(labels[:at]) if service == _S3 else ""
            return HostName(service, region, bucket if _BUCKET.fullmatch(bucket) else "")
        bucket = ".".join(labels)
        if suffix == f".{_AWS}" or not _BUCKET.fullmatch(bucket):
            return BARE
        return HostName("", "", bucket)

    def _service_of(self, label: str) -> tuple[str, str]:
        """Return the service of a label, and the region of its old form ``s3-us-west-2``."""
        if label in self._prefixes:
            return label, ""
        region = label.removeprefix("s3-")
        if region != label and _REGION.fullmatch(region):
            return _S3, region
        return "", ""


def _name_of(host: str) -> str:
    """Return the name without its port, in lower case."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower().rstrip(".")
