"""Which encryption a write asks for, which it gets, and what answers say of it.

Theory: everything that is stored is sealed with the store's own keys; an object whose record says
``AES256`` has that and nothing more. Every other object has a key of its own, with which its bytes are
sealed in the place of the store's: one that KMS made and has encrypted, or the client's.

Source: Amazon S3 User Guide, "Protecting data with encryption", "Specifying server-side encryption
with AWS KMS (SSE-KMS)", "Using server-side encryption with customer-provided keys (SSE-C)", "Blocking
or unblocking SSE-C for a general purpose bucket"; API Reference, PutObject and PutBucketEncryption.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

import msgspec

from fogbank.base.errors import AccessDenied
from fogbank.base.types import Request
from fogbank.platform.crypto.keys import SALT_BYTES, subkey
from fogbank.platform.crypto.secret import KEY_BYTES
from fogbank.services.s3.errors import (
    InvalidArgument,
    InvalidEncryptionAlgorithmError,
    InvalidRequest,
    MalformedXML,
)
from fogbank.services.s3.schema import BucketEncryption, ObjectKey

if TYPE_CHECKING:
    from fogbank.wire.shapes import s3 as shapes

SSE_S3: Final = "AES256"
KMS: Final = "aws:kms"
DSSE: Final = "aws:kms:dsse"
CUSTOMER: Final = "SSE-C"
"""What records say of an object whose key the client has."""
NONE: Final = "NONE"
_HEADER: Final = "x-amz-server-side-encryption"
_ALGORITHMS: Final = (SSE_S3, KMS, DSSE)
_VERIFIER: Final = b"fogbank sse-c"
_ETAG: Final = b"fogbank etag"
_WITH_CUSTOMER: Final = (
    "Requests specifying Server Side Encryption with Customer provided keys must "
)

DEFAULT: Final = BucketEncryption(SSE_S3, blocked=(CUSTOMER,))
"""Of a bucket that nobody has configured. AWS: since January 2023 SSE-S3 is the base of every bucket,
since April 2026 SSE-C is refused until it is asked for."""

BEFORE_2023: Final = BucketEncryption(SSE_S3)
"""Of one in a deployment with the defaults from before: it is not told of, and answers say nothing of
the encryption of objects whose writers did not."""


class Asked(NamedTuple):
    """The encryption that a write asks for."""

    algorithm: str = ""
    """As records have it; empty: what the bucket has as its default."""
    kms_key: str = ""
    context: Mapping[str, str] = {}
    bucket_key: bool | None = None
    customer_key: bytes | None = None

    @property
    def is_keyed(self) -> bool:
        """Return whether the object gets a key of its own."""
        return self.algorithm not in ("", SSE_S3)


def asked_of(request: Request) -> Asked:
    """Return the encryption that a write asks for.

    Raises:
        InvalidArgument: Its members contradict each other, or are none.
    """
    algorithm: str = request.get("ServerSideEncryption") or ""
    kms_key: str = request.get("SSEKMSKeyId") or ""
    customer_key = customer_key_of(request)
    if customer_key is not None:
        if algorithm or kms_key:
            raise _argument(
                "Server Side Encryption with Customer provided key is incompatible with the "
                "encryption method specified",
                algorithm,
            )
        return Asked(CUSTOMER, customer_key=customer_key)
    if algorithm and algorithm not in _ALGORITHMS:
        raise _argument("The encryption method specified is not supported", algorithm)
    context = request.get("SSEKMSEncryptionContext")
    if algorithm not in (KMS, DSSE) and (kms_key or context):
        raise _argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header "
            "x-amz-server-side-encryption : aws:kms",
            algorithm,
        )
    return Asked(algorithm, kms_key, _context_of(context), request.get("BucketKeyEnabled"))


def _argument(message: str, value: str) -> InvalidArgument:
    """Return the error for a header that names an encryption wrongly."""
    return InvalidArgument(message, ArgumentName=_HEADER, ArgumentValue=value or "null")


def _context_of(text: str | None) -> dict[str, str]:
    """Return the encryption context of a header: Base64 of JSON."""
    if not text:
        return {}
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=dict[str, str])
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string "
            "holding JSON which represents a string-string map",
            ArgumentName=f"{_HEADER}-context",
            ArgumentValue=text,
        ) from error


def customer_key_of(request: Request) -> bytes | None:
    """Return the key that a client brings, if it brings one; see ``_key_of``."""
    return _key_of(
        request.get("SSECustomerAlgorithm"),
        request.get("SSECustomerKey"),
        request.get("SSECustomerKeyMD5"),
    )


def source_key_of(request: Request) -> bytes | None:
    """Return the key that a client brings for the source of a copy; see ``_key_of``."""
    return _key_of(
        request.get("CopySourceSSECustomerAlgorithm"),
        request.get("CopySourceSSECustomerKey"),
        request.get("CopySourceSSECustomerKeyMD5"),
    )


def _key_of(algorithm: str | None, key: str | None, digest: str | None) -> bytes | None:
    """Return the key of three headers, or None if there is none of them.

    Raises:
        InvalidArgument: One is missing, or is not what it must be.
        InvalidEncryptionAlgorithmError: The algorithm is another than AES256.
    """
    if algorithm is key is digest is None:
        return None
    if not algorithm:
        raise InvalidArgument(_WITH_CUSTOMER + "provide a valid encryption algorithm.")
    if algorithm != SSE_S3:
        raise InvalidEncryptionAlgorithmError(
            ArgumentName=f"{_HEADER}-customer-algorithm", ArgumentValue=algorithm
        )
    if not key:
        raise InvalidArgument(_WITH_CUSTOMER + "provide an appropriate secret key.")
    if not digest:
        raise InvalidArgument(
            _WITH_CUSTOMER + "provide the client calculated MD5 of the secret key."
        )
    raw = _decoded(key)
    if len(raw) != KEY_BYTES:
        raise InvalidArgument(
            "The secret key was invalid for the specified algorithm.",
            ArgumentName=f"{_HEADER}-customer-key",
        )
    if not hmac.compare_digest(_decoded(digest), hashlib.md5(raw, usedforsecurity=False).digest()):
        raise InvalidArgument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            ArgumentName=f"{_HEADER}-customer-key-MD5",
            ArgumentValue=digest,
        )
    return raw


def _decoded(text: str) -> bytes:
    """Return the bytes of a text in Base64; none, if it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def verifier_of(key: bytes, salt: bytes) -> bytes:
    """Return what a record keeps of a client's key, to know it again and to tell nobody."""
    return salt + subkey(key, _VERIFIER, salt)


def _is_key_of(object_key: ObjectKey, key: bytes) -> bool:
    """Return whether a key is the one that its client brought first."""
    salt = object_key.verifier[:SALT_BYTES]
    return hmac.compare_digest(verifier_of(key, salt), object_key.verifier)


def check_customer_key(object_key: ObjectKey, key: bytes) -> None:
    """Refuse a key that is not the one that an object was written with."""
    if not _is_key_of(object_key, key):
        raise AccessDenied(_WITH_CUSTOMER + "provide the correct secret key.")


def check_customer_read(encryption: str, key: bytes | None) -> None:
    """Refuse a read that brings a key where none is needed, or none where one is.

    Raises:
        InvalidRequest: It does.
    """
    if encryption == CUSTOMER and key is None:
        raise InvalidRequest(
            "The object was stored using a form of Server Side Encryption. The correct parameters "
            "must be provided to retrieve the object."
        )
    if encryption != CUSTOMER and key is not None:
        raise InvalidRequest("The encryption parameters are not applicable to this object.")


def check_customer_part(encryption: str, object_key: ObjectKey | None, key: bytes | None) -> None:
    """Refuse a part that brings no key to an upload that was begun with one, or the reverse.

    Raises:
        InvalidRequest: It does.
        InvalidArgument: The key is another.
    """
    if encryption == CUSTOMER and key is None:
        raise InvalidRequest(
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters."
        )
    if encryption != CUSTOMER and key is not None:
        raise InvalidRequest(
            "The multipart upload initiate did not request encryption. Please resend the request "
            "without sending encryption parameters."
        )
    if key is not None and object_key is not None and not _is_key_of(object_key, key):
        raise InvalidArgument(
            "The provided encryption parameters did not match the ones used originally.",
            ArgumentName=f"{_HEADER}-customer-key",
        )


def check_customer_completion(request: Request, encryption: str) -> None:
    """Refuse to complete an upload without its client's key.

    AWS: the key "is required only when the object was created using a checksum algorithm" (API
    Reference, CompleteMultipartUpload).

    Raises:
        InvalidRequest: It is missing.
    """
    if encryption == CUSTOMER and customer_key_of(request) is None:
        raise InvalidRequest(
            "The object was stored using a form of Server Side Encryption. Correct SSE-C request "
            "parameters are required for this request when specifying checksums for each part."
        )


def masked_etag(etag: str, key: bytes | None) -> str:
    """Return the entity tag of bytes with a key of their own: an MD5 of nothing that is known.

    AWS: "Objects encrypted by SSE-C or SSE-KMS have ETags that are not an MD5 digest of their object
    data" (API Reference, Object, ETag). A digest in the open would tell whether a guess is right.
    """
    if key is None:
        return etag
    return hmac.digest(key, _ETAG + bytes.fromhex(etag), "sha256")[:16].hex()


class EncryptionMembers(TypedDict, total=False):
    """The members of a reply that say how an object is encrypted."""

    ServerSideEncryption: str
    SSEKMSKeyId: str
    BucketKeyEnabled: bool
    SSECustomerAlgorithm: str
    SSECustomerKeyMD5: str


class WriteMembers(EncryptionMembers, total=False):
    """Those of a reply to a write."""

    SSEKMSEncryptionContext: str


def members_of(
    encryption: str, object_key: ObjectKey | None, request: Request
) -> EncryptionMembers:
    """Return the members of a reply that say how an object is encrypted.

    Args:
        encryption: As its record has it.
        object_key: Likewise.
        request: The MD5 of a client's key is given back as the request gave it.
    """
    if encryption == CUSTOMER:
        members: EncryptionMembers = {"SSECustomerAlgorithm": SSE_S3}
        if digest := request.get("SSECustomerKeyMD5"):
            members["SSECustomerKeyMD5"] = digest
        return members
    if not encryption:
        return {}
    if object_key is None:
        return {"ServerSideEncryption": encryption}
    members = {"ServerSideEncryption": encryption, "SSEKMSKeyId": object_key.kms_key}
    if object_key.bucket_key:
        members["BucketKeyEnabled"] = True
    return members


def write_members(encryption: str, object_key: ObjectKey | None, request: Request) -> WriteMembers:
    """Return the members of a reply to a write that say how the object is encrypted."""
    members: WriteMembers = {**members_of(encryption, object_key, request)}
    if context := request.get("SSEKMSEncryptionContext"):
        members["SSEKMSEncryptionContext"] = context
    return members


def configuration_of(encryption: BucketEncryption) -> shapes.GetBucketEncryptionOutput:
    """Return the answer that gives a bucket's default encryption back."""
    default: shapes.ServerSideEncryptionByDefault = {"SSEAlgorithm": encryption.algorithm}
    if encryption.kms_key:
        default["KMSMasterKeyID"] = encryption.kms_key
    rule: shapes.ServerSideEncryptionRule = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": encryption.bucket_key,
    }
    if encryption.blocked:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": list(encryption.blocked)}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def default_of(configuration: Request) -> BucketEncryption:
    """Return the default encryption that PutBucketEncryption asks for.

    Raises:
        MalformedXML: There is not one rule with something in it.
        InvalidArgument: A key is named for an algorithm that has none.
    """
    rules: list[Request] = configuration.get("Rules") or []
    if len(rules) != 1:
        raise MalformedXML
    rule = rules[0]
    default: Request | None = rule.get("ApplyServerSideEncryptionByDefault")
    blocked: Request | None = rule.get("BlockedEncryptionTypes")
    if default is None and blocked is None and "BucketKeyEnabled" not in rule:
        raise MalformedXML
    algorithm: str = SSE_S3 if default is None else default["SSEAlgorithm"]
    kms_key: str = "" if default is None else default.get("KMSMasterKeyID") or ""
    if kms_key and algorithm == SSE_S3:
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or "
            "aws:kms:dsse",
            ArgumentName="ApplyServerSideEncryptionByDefault",
            ArgumentValue=algorithm,
        )
    named: list[str] = [] if blocked is None else blocked.get("EncryptionType") or []
    kinds = DEFAULT.blocked if blocked is None else tuple(each for each in named if each != NONE)
    return BucketEncryption(algorithm, kms_key, bool(rule.get("BucketKeyEnabled")), kinds)
