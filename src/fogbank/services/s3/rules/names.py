"""Bucket names, regions, keys and canonical user ids.

Source: Amazon S3 User Guide, "General purpose bucket naming rules" and "Creating object key
names"; Amazon S3 API Reference, CreateBucket.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from fogbank.contract.call import HttpFacts
from fogbank.services.s3.errors import (
    IllegalLocationConstraintException,
    InvalidArgument,
    InvalidBucketName,
    InvalidLocationConstraint,
    KeyTooLongError,
)
from fogbank.services.s3.quotas import KEY_BYTES_MAX
from fogbank.wire.regions import US_EAST_1, is_region

_EU_REGION: Final = "eu-west-1"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{3,63}}\Z){_LABEL}(?:\.{_LABEL})*")
_ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")
_PREFIXES_RESERVED: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES_RESERVED: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Refuse a name that breaks the rules.

    Raises:
        InvalidBucketName: It does.
    """
    legal = (
        _NAME.fullmatch(name) is not None
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_PREFIXES_RESERVED)
        and not name.endswith(_SUFFIXES_RESERVED)
    )
    if not legal:
        raise InvalidBucketName(BucketName=name)


def region_of(location: str | None, endpoint_region: str) -> str:
    """Return the region of a new bucket.

    Args:
        location: The LocationConstraint, or None.
        endpoint_region: The region of the endpoint that was called.

    Raises:
        InvalidLocationConstraint: There is no such region, or it is the one that is not named.
        IllegalLocationConstraintException: An endpoint creates buckets of its own region only;
            that of us-east-1 creates them anywhere.
    """
    if location is None:
        if endpoint_region != US_EAST_1:
            raise IllegalLocationConstraintException(
                "The unspecified location constraint is incompatible for the region specific "
                "endpoint this request was sent to."
            )
        return US_EAST_1
    region = _EU_REGION if location == "EU" else location
    # AWS: "us-east-1" is no location constraint; that bucket is created by naming none.
    if region == US_EAST_1 or not is_region(region):
        raise InvalidLocationConstraint(LocationConstraint=location)
    if endpoint_region not in (US_EAST_1, region):
        raise IllegalLocationConstraintException(
            f"The {location} location constraint is incompatible for the region specific endpoint "
            "this request was sent to."
        )
    return region


def check_key(key: str) -> None:
    """Refuse keys that are too long.

    Raises:
        KeyTooLongError: The key has more than 1,024 bytes of UTF-8.
    """
    size = len(key.encode())
    if size > KEY_BYTES_MAX:
        raise KeyTooLongError(Size=size, MaxSizeAllowed=KEY_BYTES_MAX)


def bucket_url(http: HttpFacts, bucket: str, region: str) -> str:
    """Return the URL of a bucket in the style in which the client asks, without a slash behind."""
    if not http.virtual:
        return f"{http.url}/{bucket}"
    scheme, _, name = http.url.partition("//")
    return f"{scheme}//{bucket}.s3.{region}.{name}"


def check_region_filter(region: str | None) -> None:
    """Refuse to list the buckets of what is no region."""
    if region is not None and not is_region(region):
        raise InvalidArgument(
            f"Argument value {region} is not a valid AWS Region", ArgumentName="bucket-region"
        )


def customer_id(account: str) -> str:
    """Return the id of an account as it stands in event notifications: ``A`` and 13 characters."""
    digest = hashlib.sha256(f"customer {account}".encode()).hexdigest().upper()
    return f"A{digest[:13]}"
