"""What a host name says: a service, a region, a bucket, an account; and what our own URLs begin with.

Rule: only names under the suffixes we were told of say anything; every other host (an address, a
load balancer's name) is the bare endpoint, and buckets stand in the path. A name under a suffix
that asks for what is not built (a website's or an accelerated endpoint) says so,
and is never taken for a bucket's. What a host name yields is remembered, a bounded number of names
at a time, because clients choose them.

The public URL, where one is set, is what URLs that we return begin with; otherwise they begin with
the host that the client asked, without the labels that say service, region and bucket.

Source: Amazon S3 User Guide, "Virtual hosting of buckets", "Making requests over IPv6" (dual stack)
"Website endpoints" and "Referencing access points" (Virtual-hosted-style URI); AWS General Reference, "AWS service endpoints"; Amazon DynamoDB Developer
Guide, "Account-based endpoints".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from fogbank.wire.regions import global_region

HOSTS_REMEMBERED_MAX: Final = 1_024
_AWS: Final = {
    "amazonaws.com": "aws",
    "api.aws": "aws",
    "amazonaws.com.cn": "aws-cn",
    "on.aws": "aws",
}
"""AWS's own suffixes, and the partition whose global endpoints lie under each."""
_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_S3: Final = "s3"
_POINTS: Final = ("s3-accesspoint", "s3-accesspoint-fips")
_POINT: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]-\d{12}", re.ASCII)
"""The label of an access point: its name, and whose it is."""
_ADDRESSED: Final = re.compile(r"([a-z0-9-]+)\.\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)
"""What SDKs make of an address and an access point's ARN, where they are given both."""
_FIPS: Final = "-fips"
_DUALSTACK: Final = "dualstack"
_ACCOUNT_BASED: Final = {"ddb": "dynamodb"}
"""The first labels of account-based endpoints, ``ACCOUNT.ddb.REGION``, and whose they are."""
_AWS_GLOBAL: Final = frozenset(("iam", "sts"))
"""Services whose names without a region are AWS's own global endpoints, of us-east-1."""
_UNBUILT: Final = re.compile(
    r"s3-(website|accelerate|accesspoint|object-lambda|outposts)(?:-fips)?(?:-[a-z0-9-]+)?"
    r"|(s3express)-[a-z0-9-]+"
)


class HostName(NamedTuple):
    """What a host name says; what it does not say is empty."""

    service: str = ""
    """The endpoint prefix, such as ``dynamodb``."""
    region: str = ""
    bucket: str = ""
    """With no service beside it, the name is one of a bucket only if the request is for S3."""
    point: str = ""
    """``NAME-ACCOUNT`` of an access point of S3; under a name of our own that may be a bucket too."""
    account: str = ""
    """The account of an account-based endpoint."""
    unbuilt: str = ""
    """The kind of endpoint that it asks for and that is not built, such as ``website``."""
    urls: tuple[str, str] = ("", "")
    """What URLs of this cloud begin with, without and with TLS, for whoever asked this host."""
    door: str = ""
    """The label of a kind of front doors, such as ``lambda-url``."""
    named: str = ""
    """Which of them it is: the label before that."""

    @property
    def is_bare(self) -> bool:
        """Return whether it says nothing: requests say in their paths what they are for."""
        return self._replace(urls=BARE.urls) == BARE


BARE: Final = HostName()


class HostNames:
    """Reads host names under the suffixes of this cloud.

    Args:
        prefixes: The first labels of the services' host names, such as ``dynamodb``.
        public_hosts: Names under which clients reach the server.
        public_url: What URLs that we return begin with; empty: what the client asked.
        doors: The labels of front doors, ``NAME.LABEL.REGION``.
    """

    __slots__ = ("_doors", "_prefixes", "_remembered", "_suffixes", "_url")

    def __init__(
        self,
        prefixes: Collection[str],
        public_hosts: Sequence[str],
        public_url: str = "",
        doors: Collection[str] = (),
    ) -> None:
        self._doors = frozenset(doors)
        self._prefixes = frozenset(prefixes)
        names = {"localhost", *_AWS, *(name.lower().strip(".") for name in public_hosts)}
        if public_url:
            names.add(urlsplit(public_url).hostname or "")
        # The longest first: a public host may lie under another.
        self._suffixes = tuple(sorted(names, key=len, reverse=True))
        self._url = public_url.rstrip("/")
        self._remembered: dict[str, HostName] = {}

    def read(self, host: str) -> HostName:
        """Return what the value of a Host header says."""
        found = self._remembered.get(host)
        if found is None:
            found = self._read(host)
            if len(self._remembered) >= HOSTS_REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[host] = found
        return found

    def _read(self, host: str) -> HostName:
        name, port = _split(host)
        for suffix in self._suffixes:
            if name == suffix:
                break
            if name.endswith(f".{suffix}"):
                labels = name[: -len(suffix) - 1].split(".")
                return self._labels(labels, suffix)._replace(urls=self._urls(suffix + port))
        addressed = _ADDRESSED.fullmatch(name)
        point = addressed[1] if addressed and _POINT.fullmatch(addressed[1]) else ""
        return BARE._replace(urls=self._urls(name + port), point=point)

    def _urls(self, authority: str) -> tuple[str, str]:
        """Return what URLs begin with, without and with TLS."""
        if self._url:
            return self._url, self._url
        return f"http://{authority}", f"https://{authority}"

    def _labels(self, labels: list[str], suffix: str) -> HostName:
        """Return what the labels before the suffix say."""
        # From the right, because a bucket's name may hold the name of a service.
        for at in range(len(labels) - 1, -1, -1):
            found = self._front(labels[at:], labels[:at])
            found = found or self._named(labels[at], labels[at + 1 :], labels[:at])
            if found is None:
                continue
            if suffix in _AWS and not found.region and found.service in _AWS_GLOBAL:
                # AWS: a request to a global endpoint is signed for the region of all of them.
                # The tokens of STS are signed there too.
                return found._replace(region=global_region("iam", _AWS[suffix]))
            return found
        bucket = ".".join(labels)
        if suffix in _AWS or not _BUCKET.fullmatch(bucket):
            return BARE
        return HostName(bucket=bucket, point=bucket if _POINT.fullmatch(bucket) else "")

    def _front(self, labels: list[str], before: list[str]) -> HostName | None:
        """Return what a name says whose front door is at a label, or None if there is none."""
        label, *region = labels
        if label not in self._doors or not len(region) == len(before) == 1:
            return None
        if not _REGION.fullmatch(region[0]):
            return None
        return HostName(region=region[0], door=label, named=before[0])

    def _named(self, label: str, behind: list[str], before: list[str]) -> HostName | None:
        """Return what a name says whose service is at a label, or None if there is no service."""
        rest = [each for each in behind if each != _DUALSTACK]
        if len(rest) > 1 or (rest and not _REGION.fullmatch(rest[0])):
            return None
        region = rest[0] if rest else ""
        if label in _POINTS and len(before) == 1 and _POINT.fullmatch(before[0]):
            return HostName(_S3, region, point=before[0])
        unbuilt = _UNBUILT.fullmatch(label)
        if unbuilt is not None:
            return HostName(_S3, region, unbuilt=unbuilt[1] or unbuilt[2])
        if label in _ACCOUNT_BASED and len(before) == 1 and _ACCOUNT.fullmatch(before[0]):
            return HostName(_ACCOUNT_BASED[label], region, account=before[0])
        service, old_region = self._service_of(label)
        if not service:
            return None
        bucket = ".".join(before) if service == _S3 else ""
        return HostName(service, region or old_region, bucket if _BUCKET.fullmatch(bucket) else "")

    def _service_of(self, label: str) -> tuple[str, str]:
        """Return the service of a label, and the region of its old form ``s3-us-west-2``."""
        plain = label.removesuffix(_FIPS)
        if plain in self._prefixes:
            return plain, ""
        region = label.removeprefix("s3-")
        if region != label and _REGION.fullmatch(region):
            return _S3, region
        return "", ""


def _split(host: str) -> tuple[str, str]:
    """Return the name without its port, in lower case, and the port with its colon."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        return name.lower().rstrip("."), f":{port}"
    return host.lower().rstrip("."), ""
