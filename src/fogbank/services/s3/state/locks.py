"""The keys of objects that have one of their own: had from KMS or from the client, kept nowhere.

Rule: a key in the clear lives as long as the call that needs it, but for bucket keys, which a process
keeps for some minutes, each for whoever was allowed to use it and under the epochs that allowed it.
What a record keeps is what it takes to ask again (``ObjectKey``).

Theory: without a bucket key every write asks KMS for a data key and every read has it decrypted, bound
to the object's ARN as encryption context. With one, KMS is asked for a key of the *bucket*, bound to
the bucket's ARN, and the keys of objects are drawn here and sealed with it. Caller by caller: one who
was not allowed by KMS never reads with what another was given (User Guide, "Reducing the cost of
SSE-KMS with Amazon S3 Bucket Keys"). Changes of key policies, grants and states end the epoch of the
key's account, so a revocation is in force when it is answered.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

import msgspec

from fogbank.base.arn import find_arn
from fogbank.base.errors import AccessDenied, ServiceError
from fogbank.base.types import Request, Wire
from fogbank.contract.call import Call
from fogbank.platform.crypto.keys import SALT_BYTES, opened_with, sealed_with
from fogbank.platform.crypto.secret import KEY_BYTES
from fogbank.platform.identity.kept import KeptKey
from fogbank.platform.identity.principal import PrincipalKind
from fogbank.services.s3.arns import bucket_arn, object_arn
from fogbank.services.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    KMSDisabledException,
    KMSKMSInvalidStateException,
    KMSNotFoundException,
)
from fogbank.services.s3.options import DEFAULTS_BEFORE_2023
from fogbank.services.s3.rules import encryption
from fogbank.services.s3.rules.encryption import CUSTOMER, DSSE, KMS, SSE_S3, Asked
from fogbank.services.s3.schema import BucketEncryption, BucketRecord, ObjectKey
from fogbank.services.s3.state.bodies import Body, Keeping
from fogbank.services.s3.state.objects import Opened

BUCKET_KEY_MS: Final = 300_000
"""How long a bucket key is used. AWS: "a time-limited period"."""
_MANAGED: Final = "alias/aws/s3"
_CONTEXT_ARN: Final = "aws:s3:arn"
_INLINE: Final = b"fogbank s3 body"
_OBJECT_KEY: Final = b"fogbank s3 object key"
_NOT_ENCRYPTING: Final = (
    "This server does not encrypt what it stores (encryption.enabled = false), and so cannot keep "
    "what {0} promises. Turn it on, or bring a key (SSE-C)."
)


class Lock(NamedTuple):
    """How an object is encrypted: what its record says, and its key in the clear."""

    encryption: str
    object_key: ObjectKey | None = None
    key: bytes | None = None
    """None: the store's own keys are all."""

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return f"Lock({self.encryption})"

    def keeping(self, *, inline: bool = True) -> Keeping:
        """Return how bytes are kept under it; see ``bodies.take``."""
        return Keeping(inline, self.key, layered=self.encryption == DSSE)


_SEALED: Final = Lock(SSE_S3)
_OPEN: Final = Lock("")


def find_plain(call: Call, asked: Asked, bucket: BucketRecord) -> Lock | None:
    """Return how an object is encrypted that needs no key of its own; None: it needs one.

    Raises:
        InvalidRequest: Encryption was asked for where nothing is encrypted at rest.
    """
    default = _default(call, bucket)
    if asked.is_keyed or (not asked.algorithm and default.algorithm != SSE_S3):
        return None
    if default is encryption.BEFORE_2023 and not asked.algorithm:
        return _OPEN
    if call.blobs.seals:
        return _SEALED
    if asked.algorithm:
        raise InvalidRequest(_NOT_ENCRYPTING.format(asked.algorithm))
    return _OPEN


def _default(call: Call, bucket: BucketRecord) -> BucketEncryption:
    """Return the default encryption of a bucket."""
    if bucket.encryption is not None:
        return bucket.encryption
    return encryption.BEFORE_2023 if call.chosen(DEFAULTS_BEFORE_2023) else encryption.DEFAULT


async def lock_for(call: Call, asked: Asked, bucket: BucketRecord, key: str) -> Lock:
    """Return how a new object is encrypted, asking KMS for its key where that has it.

    Raises:
        AccessDenied: The bucket refuses clients' keys, or KMS refuses the caller.
        InvalidRequest: Nothing is encrypted at rest here.
        InvalidArgument: KMS keys are not for anonymous callers.
        KMSNotFoundException: There is no such key in the bucket's region; its kin: it cannot be used.
    """
    plain = find_plain(call, asked, bucket)
    if plain is not None:
        return plain
    default = _default(call, bucket)
    if asked.algorithm == CUSTOMER:
        if CUSTOMER in default.blocked:
            raise AccessDenied(
                "Access Denied: this bucket blocks server-side encryption with customer-provided "
                "keys (SSE-C)"
            )
        assert asked.customer_key is not None
        verifier = encryption.verifier_of(asked.customer_key, call.ids.random_bytes(SALT_BYTES))
        return Lock(CUSTOMER, ObjectKey(verifier=verifier), asked.customer_key)
    if not asked.algorithm:
        asked = Asked(default.algorithm, default.kms_key)
    if not call.blobs.seals:
        raise InvalidRequest(_NOT_ENCRYPTING.format(asked.algorithm))
    _check_caller(call)
    named = asked.kms_key or _MANAGED
    shared = default.bucket_key if asked.bucket_key is None else asked.bucket_key
    if shared and asked.algorithm == KMS:
        return await _under_bucket_key(call, asked, named, bucket, key)
    context = _context(bucket, key, asked.context)
    made = await _ask_kms(call, bucket, "GenerateDataKey", _generate(named, context))
    kept = ObjectKey(made["KeyId"], made["CiphertextBlob"], context=dict(asked.context))
    return Lock(asked.algorithm, kept, made["Plaintext"])


def _check_caller(call: Call) -> None:
    """Refuse KMS keys to who has not signed: KMS would not know whom to ask for."""
    if call.principal.kind is PrincipalKind.ANONYMOUS:
        raise InvalidArgument(
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS "
            "Signature Version 4.",
            ArgumentName="Authorization",
            ArgumentValue="null",
        )


def _context(bucket: BucketRecord, key: str | None, more: Request) -> dict[str, str]:
    """Return the encryption context of an object's key, or of the bucket's."""
    arn = bucket_arn(bucket.region, bucket.name)
    if key is not None:
        arn = object_arn(bucket.region, bucket.name, key)
    return {**more, _CONTEXT_ARN: arn}


def _generate(named: str, context: dict[str, str]) -> Wire:
    """Return the request for a data key."""
    return {"KeyId": named, "KeySpec": "AES_256", "EncryptionContext": context}


async def _under_bucket_key(
    call: Call, asked: Asked, named: str, bucket: BucketRecord, key: str
) -> Lock:
    """Return the lock of a new object whose key is sealed with a key of the bucket."""
    name = ("s3 bucket key", *_proof(call, named), bucket.name, named)
    shared = call.kept_keys.find(name)
    if shared is None:
        context = _context(bucket, None, {})
        made = await _ask_kms(call, bucket, "GenerateDataKey", _generate(named, context))
        shared = KeptKey(made["Plaintext"], made["CiphertextBlob"], made["KeyId"])
        until_ms = call.clock.now_ms() + BUCKET_KEY_MS
        call.kept_keys.keep(name, shared, until_ms)
        call.kept_keys.keep(_opened_name(call, shared.owner, shared.wrapped), shared, until_ms)
    plain = call.ids.random_bytes(KEY_BYTES)
    salt = call.ids.random_bytes(SALT_BYTES)
    about = _about(_context(bucket, key, asked.context))
    wrapped = sealed_with(shared.key, _OBJECT_KEY, salt, plain, about)
    kept = ObjectKey(shared.owner, wrapped, shared.wrapped, dict(asked.context))
    return Lock(asked.algorithm, kept, plain)


def _proof(call: Call, kms_key: str) -> tuple[Hashable, ...]:
    """Return whom KMS allowed to use a key, and the epochs of those whose policies decided."""
    arn, identity = find_arn(kms_key), call.identity
    owner = call.principal.account if arn is None else arn.account
    return (call.principal, identity.epoch_of(call.principal.account), identity.epoch_of(owner))


def _opened_name(call: Call, kms_key: str, wrapped: bytes) -> Hashable:
    """Return under what a bucket key is kept for reading."""
    return ("s3 bucket key opened", *_proof(call, kms_key), wrapped)


def _about(context: dict[str, str]) -> bytes:
    """Return an encryption context as additional data: one for each."""
    return msgspec.json.encode(context, order="sorted")


async def key_of(call: Call, bucket: BucketRecord, key: str, object_key: ObjectKey) -> bytes:
    """Return the key of an object that KMS has, in the clear.

    Raises:
        AccessDenied: KMS refuses the caller.
        KMSNotFoundException: The key is gone; its kin: it cannot be used.
    """
    _check_caller(call)
    context = _context(bucket, key, object_key.context)
    if not object_key.bucket_key:
        return await _decrypt(call, bucket, object_key.kms_key, object_key.wrapped, context)
    name = _opened_name(call, object_key.kms_key, object_key.bucket_key)
    shared = call.kept_keys.find(name)
    if shared is None:
        plain = await _decrypt(
            call, bucket, object_key.kms_key, object_key.bucket_key, _context(bucket, None, {})
        )
        shared = KeptKey(plain, object_key.bucket_key, object_key.kms_key)
        call.kept_keys.keep(name, shared, call.clock.now_ms() + BUCKET_KEY_MS)
    return opened_with(shared.key, _OBJECT_KEY, object_key.wrapped, _about(context))


async def _decrypt(
    call: Call, bucket: BucketRecord, kms_key: str, wrapped: bytes, context: dict[str, str]
) -> bytes:
    """Return what KMS has encrypted."""
    asked: Wire = {"CiphertextBlob": wrapped, "EncryptionContext": context, "KeyId": kms_key}
    reply = await _ask_kms(call, bucket, "Decrypt", asked)
    plain: bytes = reply["Plaintext"]
    return plain


async def _ask_kms(call: Call, bucket: BucketRecord, operation: str, asked: Wire) -> Wire:
    """Ask KMS on behalf of the caller; its refusals become those that S3 shows."""
    try:
        return await call.calls.call(
            "kms", operation, asked, principal=call.principal, region=bucket.region, via="s3"
        )
    except ServiceError as error:
        raise _shown(error) from error


def _shown(error: ServiceError) -> ServiceError:
    """Return how S3 shows a refusal of KMS."""
    if error.code in ("AccessDeniedException", "AccessDenied"):
        return AccessDenied(error.message)
    shown = {
        "NotFoundException": KMSNotFoundException,
        "InvalidArnException": KMSNotFoundException,
        "DisabledException": KMSDisabledException,
        "KMSInvalidStateException": KMSKMSInvalidStateException,
    }.get(error.code)
    return error if shown is None else shown(error.message)


async def unlock(
    call: Call, opened: Opened, customer_key: bytes | None, *, reads: bool = True
) -> Opened:
    """Return an opened object with its key, and its small body in the clear.

    Args:
        call: Whose read it is.
        opened: The object.
        customer_key: The key that the client brings for it.
        reads: Whether its bytes are wanted; otherwise a key of KMS stays unasked for.

    Raises:
        InvalidRequest: A client's key is missing, or nobody asked for one.
        AccessDenied: It is another than that of the object, or KMS refuses the caller.
        KMSNotFoundException: KMS has no such key; its kin: it cannot be used.
    """
    record = opened.record
    encryption.check_customer_read(record.encryption, customer_key)
    if record.object_key is None:
        return opened
    if customer_key is not None:
        encryption.check_customer_key(record.object_key, customer_key)
        key = customer_key
    elif reads:
        key = await key_of(call, opened.bucket, opened.key, record.object_key)
    else:
        return opened
    content = opened.content
    if content is not None:
        content = opened_with(key, _INLINE, content, _place(opened.bucket.name, opened.key))
    return opened._replace(lock=key, content=content)


def _place(bucket: str, key: str) -> bytes:
    """Return what the small body of an object is sealed about."""
    return f"{bucket}/{key}".encode()


def locked(call: Call, request: Request, lock: Lock, body: Body) -> Body:
    """Return a body just taken as it is kept under a lock: its small bytes sealed, its tag masked."""
    if lock.key is None:
        return body
    content = body.inline
    if content is not None:
        salt = call.ids.random_bytes(SALT_BYTES)
        about = _place(request["Bucket"], request["Key"])
        content = sealed_with(lock.key, _INLINE, salt, content, about)
    return body._replace(inline=content, etag=encryption.masked_etag(body.etag, lock.key))


async def lock_of_upload(
    call: Call, bucket: BucketRecord, request: Request, algorithm: str, object_key: ObjectKey | None
) -> Lock:
    """Return the lock of an upload under way, for one more part.

    Raises:
        InvalidRequest: A client's key is missing, or nobody asked for one.
        InvalidArgument: It is another than that of the upload.
        AccessDenied: KMS refuses the caller.
        KMSNotFoundException: KMS has no such key; its kin: it cannot be used.
    """
    customer_key = encryption.customer_key_of(request)
    encryption.check_customer_part(algorithm, object_key, customer_key)
    if object_key is None:
        return Lock(algorithm)
    if customer_key is not None:
        return Lock(algorithm, object_key, customer_key)
    key = await key_of(call, bucket, request["Key"], object_key)
    return Lock(algorithm, object_key, key)
