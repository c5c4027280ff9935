"""Signature Version 2 of S3: what is signed, and with what result.

Rule: pure, and for S3 alone; whether it is believed at all is a setting of the gateway, off unless an
operator turns it on, because it proves nothing about bodies and most headers.

Source: Amazon S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)".
"""

from __future__ import annotations

import base64
import hmac
from typing import Final
from urllib.parse import unquote

from fogbank.wire.http import HttpRequest

ALGORITHM: Final = "AWS"
_AMZ: Final = "x-amz-"
_DATE: Final = "x-amz-date"
_SIGNED_PARAMETERS: Final = frozenset(
    (
        *("accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory"),
        *("lifecycle", "location", "logging", "metrics", "notification", "object-lock"),
        *("partNumber", "policy", "replication", "requestPayment", "restore", "select"),
        *("select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads"),
        *("versionId", "versioning", "versions", "website"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires"),
    )
)
"""Parameters that are part of the resource, as SDKs sign them; all others are not signed."""


def strings_to_sign(request: HttpRequest, bucket: str, date: str) -> list[str]:
    """Return the texts whose HMAC may be the signature: a bucket is signed with a slash or without.

    Args:
        request: The request.
        bucket: The bucket that its host names; empty if its path does.
        date: The value of Date as it counts: empty beside ``x-amz-date``, the expiry of a query.
    """
    headers = request.headers
    named = sorted((name, value) for name, value in headers.items() if name.startswith(_AMZ))
    amz = "".join(f"{name}:{value.strip()}\n" for name, value in named)
    head = (
        request.method,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        date,
    )
    path = f"/{bucket}{request.path}" if bucket else request.path
    paths = [path, f"{path}/"] if path.count("/") == 1 and len(path) > 1 else [path]
    query = _signed_query(request.query)
    return ["\n".join((*head, f"{amz}{each}{query}")) for each in paths]


def _signed_query(query: str) -> str:
    """Return what of a query belongs to the resource that is signed."""
    signed: list[str] = []
    for pair in sorted(query.split("&")):
        name, mark, value = pair.partition("=")
        if unquote(name) in _SIGNED_PARAMETERS:
            signed.append(f"{name}={unquote(value)}" if mark and value else name)
    return f"?{'&'.join(signed)}" if signed else ""


def date_of(request: HttpRequest) -> str:
    """Return the Date of a signed header as it counts."""
    return "" if _DATE in request.headers else request.headers.get("date", "")


def signature_of(secret: str, text: str) -> str:
    """Return the signature of a text: HMAC-SHA1 in Base64."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()
