"""URLs at which who has one can fetch a deployment package or a layer for ten minutes.

Rule: whoever may see a function or a layer is given one; it names a zip file of one account and
region and proves by a signature that it was given. Source: API Reference, FunctionCodeLocation ("a
presigned URL that you can use to download the deployment package") and LayerVersionContentOutput
("valid for 10 minutes").
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.crypto.locked import LockedKey
from fogbank.services.lambda_.rules import urls

LABEL: Final = "lambda-code"
PURPOSE: Final = b"fogbank lambda download 1"
LIFETIME_MS: Final = 600_000
_NUMBER: Final = re.compile("[0-9]{1,19}", re.ASCII)


class Ticket(NamedTuple):
    """What a URL gives leave to fetch."""

    blob: BlobRef
    expires_ms: int
    lock: LockedKey | None = None
    """What the blob is sealed with, as KMS has encrypted it; None: the store's own keys."""


def location_of(
    account: str, region: str, ticket: Ticket, secret: bytes, entropy: bytes, base: str
) -> str:
    """Return a URL, as whoever asks reaches this cloud.

    Args:
        account: Whose package it is.
        region: Its region.
        ticket: The package.
        secret: Of the cloud, for this purpose.
        entropy: Veils the account in the name.
        base: What URLs of this cloud begin with.
    """
    name = urls.id_of(account, entropy)
    query = {
        "Package": f"{ticket.blob.incarnation}-{ticket.blob.number}",
        "Expires": str(ticket.expires_ms),
        "Signature": _signature_of(name, region, ticket, secret),
    }
    if ticket.lock is not None:
        query["Lock"] = _text_of(ticket.lock)
    # By the path: clients fetch it with whatever they have, which need not resolve names below a host.
    return f"{base}/{LABEL}/{region}/{name}/?{urlencode(query)}"


def find_ticket(name: str, region: str, query: str, secret: bytes) -> Ticket | None:
    """Return what a URL gives leave to fetch, or None if nobody was given it."""
    given = dict(parse_qsl(query))
    incarnation, _, number = given.get("Package", "").partition("-")
    expires = given.get("Expires", "")
    if not all(_NUMBER.fullmatch(each) for each in (incarnation, number, expires)):
        return None
    ticket = Ticket(BlobRef(int(incarnation), int(number)), int(expires))
    signature = _signature_of(name, region, ticket, secret, given.get("Lock", ""))
    proved = hmac.compare_digest(signature.encode(), given.get("Signature", "").encode())
    if not proved or "Lock" not in given:
        return ticket if proved else None
    return ticket._replace(lock=_lock_of(given["Lock"]))


def _text_of(lock: LockedKey) -> str:
    """Return a key that KMS has encrypted as a URL has it."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(lock)).decode()


def _lock_of(text: str) -> LockedKey:
    """Return the key that a URL has, whose signature was found to be good."""
    return msgspec.msgpack.decode(base64.urlsafe_b64decode(text), type=LockedKey)


def _signature_of(
    name: str, region: str, ticket: Ticket, secret: bytes, lock: str | None = None
) -> str:
    """Return what proves that a URL was given; ``lock``: as the URL has it, if it is not the ticket's."""
    if lock is None:
        lock = "" if ticket.lock is None else _text_of(ticket.lock)
    said = f"{name}\n{region}\n{ticket.blob.incarnation}-{ticket.blob.number}\n{ticket.expires_ms}"
    if lock:
        said += f"\n{lock}"
    return hmac.digest(secret, said.encode(), "sha256").hex()
