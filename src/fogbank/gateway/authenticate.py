"""Who asks: Signature Version 4 or 4A in the headers, in the query, over chunks, or nobody.

Rule: a request is someone's only if its signature holds under that one's secret, its time is near
ours, and its body is the one that was signed. For a body that is streamed the last of these is
known at its end: its stream raises there, before anything that waits for the end can commit.
Secrets and signing keys are in no message and no log line. Comparisons take constant time.

Source: IAM User Guide, "AWS Signature Version 4 for API requests"; Amazon S3 API Reference,
"Authenticating Requests (AWS Signature Version 4)" and "Error responses".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Protocol

from fogbank.base.arn import partition_of
from fogbank.base.clock import Clock
from fogbank.base.errors import ServiceError
from fogbank.gateway import older
from fogbank.gateway.body import BytesBody, DecodedBody, HashedBody, WholeBodies, content_mismatch
from fogbank.gateway.claim import Claim
from fogbank.gateway.limits import BodyLimits
from fogbank.gateway.proofs import FailedProofs
from fogbank.gateway.render import No, error_of
from fogbank.gateway.resolve import Target
from fogbank.gateway.scope import check_scope, check_time, time_ms_of
from fogbank.gateway.settings import GatewaySettings
from fogbank.gateway.signed_events import SignedEvents
from fogbank.gateway.signers import Signers
from fogbank.gateway.signing_keys import SigningKeys
from fogbank.platform.identity.cache import Epoch
from fogbank.platform.identity.credentials import Credential, ExpiredToken, Proof
from fogbank.platform.identity.principal import ANONYMOUS, Principal
from fogbank.wire import sigv2, sigv4
from fogbank.wire.canonical import canonical_query
from fogbank.wire.chunked import Chain, ChunkedDecoder
from fogbank.wire.http import HttpRequest
from fogbank.wire.sigv4 import Authorization, SigningKey
from fogbank.wire.sigv4a import VerifyingKey

_CONTENT_HASH: Final = "x-amz-content-sha256"
_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_DIGEST_CHARACTERS: Final = 64
_STREAMING: Final = "STREAMING-"
_SIGNED_STREAMS: Final = {
    sigv4.STREAMING_SIGNED: sigv4.ALGORITHM,
    sigv4.STREAMING_SIGNED_TRAILER: sigv4.ALGORITHM,
    sigv4.STREAMING_ASYMMETRIC: sigv4.ASYMMETRIC,
    sigv4.STREAMING_ASYMMETRIC_TRAILER: sigv4.ASYMMETRIC,
}
"""Streams of signed chunks, and the algorithm that the request must be signed by too."""


_OTHER_ACCOUNT: Final = "The account of the endpoint is not the account of the credentials."


class Credentials(Protocol):
    """Where the secrets are: the identity of this process, or another process's."""

    def epoch_of(self, account: str) -> Epoch:
        """Return the current epoch of an account: what was read under another is stale."""
        ...

    def find_proof(self, key_id: str, token: str = "") -> Proof | None:
        """Return what ``proof`` returns where it is at hand and in force, or else None.

        Raises:
            ExpiredToken: The session is over.
        """
        ...

    async def proof(self, key_id: str, token: str = "") -> Proof | None:
        """Return the credential of an access key, or None if it proves nothing.

        Raises:
            ExpiredToken: The session is over.
        """
        ...


class Authenticator:
    """Proves who sent requests.

    Args:
        identity: Where the secrets are.
        clock: What signatures age by.
        bodies: Where bodies that must be whole are read.
        limits: How long they may be.
        settings: How far clocks may differ, and how often proofs may fail.
    """

    def __init__(
        self,
        identity: Credentials,
        clock: Clock,
        bodies: WholeBodies,
        limits: BodyLimits,
        settings: GatewaySettings,
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._bodies = bodies
        self._limits = limits
        self._skew_ms = settings.skew_ms
        self.proofs = FailedProofs(settings, clock)
        self._keys = SigningKeys()
        self._signers = Signers()

    def find(self, request: HttpRequest, target: Target, claim: Claim) -> Proof | None:
        """Return what ``authenticate`` returns where all that it takes is at hand, or else None.

        Raises:
            ServiceError: The claim does not hold, in the words of the service.
        """
        signer = self._signers.find(claim, target, self._identity.epoch_of)
        if signer is not None and signer.is_timely(
            claim.timestamp, self._clock.now_ms(), self._skew_ms
        ):
            if self.proofs.is_spent(request, claim.signed.access_key_id):
                raise target.door.words.error(No.THROTTLED)
            if signer.signed(request, claim):
                target.key_account = signer.account
                return signer.proof
        if claim.signed.algorithm == sigv2.ALGORITHM:
            return None
        if request.stream is not None and not target.door.words.is_s3:
            return None
        self._check_now(request, target, claim)
        proof = self._find_proof(request, claim, target)
        if proof is not None:
            self._check(request, target, claim, proof)
        return proof

    async def authenticate(self, request: HttpRequest, target: Target, claim: Claim) -> Proof:
        """Return what proves who signed the request; its body is checked now or at its end.

        Raises:
            ServiceError: The claim does not hold, in the words of the service.
        """
        if claim.signed.algorithm == sigv2.ALGORITHM:
            return await self._authenticate_older(request, target, claim)
        self._check_now(request, target, claim)
        proof = await self.proof(request, claim, target)
        target.key_account = proof.credential.principal.account
        digest = ""
        if not (request.stream is None or target.door.words.is_s3 or _signs_events(request, claim)):
            allowed = self._limits.before(target, request, claim.signed.service)
            digest = await self._bodies.take(request, allowed)
        self._check(request, target, claim, proof, digest)
        return proof

    def _check_now(self, request: HttpRequest, target: Target, claim: Claim) -> None:
        """Refuse a claim for another place or time, and one that comes too soon after failures."""
        # AWS: of a signature for another day all but S3 tell the time first (ScyllaDB,
        # test/alternator/test_authorization.py).
        if target.door.words.is_s3:
            check_scope(claim.timestamp, claim.signed, target)
        check_time(claim, target, self._clock.now_ms(), self._skew_ms)
        if not target.door.words.is_s3:
            check_scope(claim.timestamp, claim.signed, target)
        if self.proofs.is_spent(request, claim.signed.access_key_id):
            raise target.door.words.error(No.THROTTLED)

    def _check(
        self, request: HttpRequest, target: Target, claim: Claim, proof: Proof, digest: str = ""
    ) -> None:
        """Check a signature whose body is at hand, or is checked as it comes."""
        credential, words = proof.credential, target.door.words
        key, account = self._keys.of(credential, claim.signed), credential.principal.account
        target.key_account = account
        if words.is_s3:
            self._check_s3(request, target, claim, key)
        elif _signs_events(request, claim):
            self._check_events(request, target, claim, credential)
        else:
            digest = digest or sha256(request.body).hexdigest()
            self._check_other(request, target, claim, key, digest)
        if target.host.account not in ("", account):
            raise error_of("AccessDeniedException", words.denied_status, _OTHER_ACCOUNT)
        if claim.begun is not None and isinstance(key, SigningKey):
            self._signers.note(claim, target, proof, key)

    def stands(self, proof: Proof) -> bool:
        """Return whether the account of a proof has not changed since it was read."""
        return self._identity.epoch_of(proof.account) == proof.epoch

    async def _authenticate_older(
        self, request: HttpRequest, target: Target, claim: Claim
    ) -> Proof:
        """Return what proves who signed a request of S3 by version 2; its body is not proved."""
        older.check_time(claim, self._clock.now_ms(), self._skew_ms)
        if self.proofs.is_spent(request, claim.signed.access_key_id):
            raise target.door.words.error(No.THROTTLED)
        proof = await self.proof(request, claim, target)
        target.key_account = proof.credential.principal.account
        secret = proof.credential.secret_access_key
        holds, text = older.holds(request, claim, target.host.bucket, secret)
        if not holds:
            raise self._failed(
                request,
                claim,
                target,
                No.BAD_SIGNATURE,
                AWSAccessKeyId=claim.signed.access_key_id,
                SignatureProvided=claim.signed.signature,
                StringToSign=text,
                StringToSignBytes=text.encode().hex(" "),
            )
        take_s3_body(request, request.headers.get(_CONTENT_HASH, sigv4.UNSIGNED_PAYLOAD), None)
        kind = "REST-QUERY-STRING" if older.is_query(claim) else "REST-HEADER"
        target.context = {"s3:signatureversion": sigv2.ALGORITHM, "s3:authType": kind}
        return proof

    async def prove_text(
        self, request: HttpRequest, target: Target, claim: Claim, text: str
    ) -> Proof:
        """Return what proves who signed a text by itself, such as the policy of a form.

        Raises:
            ServiceError: The claim does not hold.
        """
        signed, words = claim.signed, target.door.words
        if self.proofs.is_spent(request, signed.access_key_id):
            raise words.error(No.THROTTLED)
        proof = await self.proof(request, claim, target)
        target.key_account = proof.credential.principal.account
        if signed.algorithm == sigv2.ALGORITHM:
            expected = sigv2.signature_of(proof.credential.secret_access_key, text)
        else:
            key = self._keys.of(proof.credential, signed)
            assert isinstance(key, SigningKey), "texts are signed with the derived key"
            expected = sigv4.signature(key, text)
        if not hmac.compare_digest(expected.encode(), signed.signature.encode()):
            raise self._failed(
                request,
                claim,
                target,
                No.BAD_SIGNATURE,
                AWSAccessKeyId=signed.access_key_id,
                SignatureProvided=signed.signature,
                StringToSign=text,
                StringToSignBytes=text.encode().hex(" "),
            )
        target.context = {"s3:signatureversion": signed.algorithm}
        return proof

    def now_ms(self) -> int:
        """Return the time that proofs age by."""
        return self._clock.now_ms()

    def _failed(
        self,
        request: HttpRequest,
        claim: Claim,
        target: Target,
        what: No,
        message: str = "",
        **members: str,
    ) -> ServiceError:
        """Count a proof that failed and return the error, or that its sender shall slow down."""
        told = self.proofs.fail(request, claim.signed.access_key_id)
        words = target.door.words
        return words.error(what, message, **members) if told else words.error(No.THROTTLED)

    async def proof(self, request: HttpRequest, claim: Claim, target: Target) -> Proof:
        """Return the credential that the request names.

        Raises:
            ServiceError: There is none, its token proves nothing, or its session is over.
        """
        found = self._find_proof(request, claim, target)
        if found is None:
            try:
                found = await self._identity.proof(claim.signed.access_key_id, claim.token)
            except ExpiredToken:
                raise target.door.words.error(No.EXPIRED_TOKEN) from None
            if found is None or not _is_near(found, target):
                raise self._unknown(request, claim, target)
        return found

    def _find_proof(self, request: HttpRequest, claim: Claim, target: Target) -> Proof | None:
        """Return the same where it was read before and is in force, or else None."""
        try:
            found = self._identity.find_proof(claim.signed.access_key_id, claim.token)
        except ExpiredToken:
            raise target.door.words.error(No.EXPIRED_TOKEN) from None
        if found is not None and not _is_near(found, target):
            raise self._unknown(request, claim, target)
        return found

    def _unknown(self, request: HttpRequest, claim: Claim, target: Target) -> ServiceError:
        """Count a key that nobody has, or a token that proves nothing, and return the error."""
        if claim.token:
            return self._failed(request, claim, target, No.BAD_TOKEN)
        s3 = target.door.words.is_s3
        members = {"AWSAccessKeyId": claim.signed.access_key_id} if s3 else {}
        return self._failed(request, claim, target, No.UNKNOWN_KEY, **members)

    # S3: the hash is a header, and the body may come later, in chunks or unsigned.

    def _check_s3(
        self, request: HttpRequest, target: Target, claim: Claim, key: SigningKey | VerifyingKey
    ) -> None:
        """Check the signature, and that the body is or will be the one that was signed."""
        headers, signed = request.headers, claim.signed
        payload = headers.get(_CONTENT_HASH)
        given = payload or ""
        if claim.presigned is not None:
            hashed = _CONTENT_HASH in signed.signed_headers and payload is not None
            given = payload if hashed and payload is not None else sigv4.UNSIGNED_PAYLOAD
            holds = sigv4.check_presigned(request, claim.presigned, key, given)
        else:
            if payload is None:
                raise error_of(
                    "InvalidRequest",
                    400,
                    "Missing required header for this request: x-amz-content-sha256",
                )
            holds = sigv4.check(request, signed, key, payload, claim.timestamp)
        if not holds:
            special = given == sigv4.UNSIGNED_PAYLOAD or given.startswith(_STREAMING)
            if not (special or _is_digest(given)):
                raise _no_digest(given)  # AWS: before it looks at the signature
            raise self._failed(
                request,
                claim,
                target,
                No.BAD_SIGNATURE,
                AWSAccessKeyId=signed.access_key_id,
                SignatureProvided=signed.signature,
                **_calculated(request, claim, given),
            )
        _check_all_signed(headers, signed)
        chain = Chain(key, signed.signature, claim.timestamp, signed.scope)
        take_s3_body(request, payload or sigv4.UNSIGNED_PAYLOAD, chain)
        target.context = _s3_context(claim, payload, self._clock.now_ms())

    # Everyone else: the hash of the body is part of the signature.

    def _check_other(
        self,
        request: HttpRequest,
        target: Target,
        claim: Claim,
        key: SigningKey | VerifyingKey,
        digest: str,
    ) -> None:
        """Check the signature over the head, and over what the digest is of: mostly the body."""
        if claim.presigned is None:
            holds = sigv4.check(request, claim.signed, key, digest, claim.timestamp)
        else:
            holds = sigv4.check_presigned(request, claim.presigned, key, digest)
        if not holds:
            raise self._failed(request, claim, target, No.BAD_SIGNATURE)
        names, unsigned = claim.signed.signed_headers, ""
        if "host" not in names:
            # AWS: unsigned, it would let the request be sent to another account's or region's host.
            unsigned = "'Host' or ':authority'"
        elif "x-amz-target" in request.headers and "x-amz-target" not in names:
            unsigned = "'x-amz-target'"
        if unsigned:
            text = f"{unsigned} must be a 'SignedHeader' in the AWS Authorization."
            raise target.door.words.error(No.BAD_SIGNATURE, text)

    def _check_events(
        self, request: HttpRequest, target: Target, claim: Claim, credential: Credential
    ) -> None:
        """Check the signature over the head; each event of the body has its own."""
        key = self._keys.of(credential, claim.signed)
        self._check_other(request, target, claim, key, sigv4.STREAMING_EVENTS)
        request.stream = SignedEvents(
            request.stream or BytesBody(request.body),
            self._keys.seal(claim.signed, credential, self._clock, self._skew_ms),
        )
        request.body = b""


def _is_near(proof: Proof, target: Target) -> bool:
    """Return whether a key is one of the partition that is asked.

    AWS: a partition knows no keys of another's accounts (General Reference, "partitions").
    """
    return proof.credential.principal.partition == partition_of(target.region)


def _signs_events(request: HttpRequest, claim: Claim) -> bool:
    """Return whether each event of the body has a signature of its own."""
    return (
        request.headers.get(_CONTENT_HASH) == sigv4.STREAMING_EVENTS
        and claim.presigned is None
        and claim.signed.algorithm == sigv4.ALGORITHM
    )


def _calculated(request: HttpRequest, claim: Claim, payload: str) -> dict[str, str]:
    """Return what S3 says that the signature should have been made of, for the signer to compare."""
    without = None if claim.presigned is None else "X-Amz-Signature"
    query = canonical_query(request.query, without=without)
    canonical, text = sigv4.explain(request, claim.signed, (claim.timestamp, query, payload))
    return {
        "StringToSign": text,
        "StringToSignBytes": text.encode().hex(" "),
        "CanonicalRequest": canonical,
        "CanonicalRequestBytes": canonical.encode().hex(" "),
    }


def take_s3_body(request: HttpRequest, payload: str, chain: Chain | None) -> None:
    """Let the request's body be what ``x-amz-content-sha256`` says it is, now or at its end.

    Args:
        request: The request; framing of ``aws-chunked`` is taken off its body.
        payload: The value of the header.
        chain: What signed chunks are checked with; None if the request is not signed.

    Raises:
        ServiceError: The header means nothing, or a whole body is not the one that was signed.
    """
    if payload == sigv4.UNSIGNED_PAYLOAD:
        return
    if payload.startswith(_STREAMING):
        _take_chunks(request, payload, chain)
    elif not _is_digest(payload):
        raise _no_digest(payload)
    elif request.stream is not None:
        request.stream = HashedBody(request.stream, payload)
    else:
        computed = sha256(request.body).hexdigest()
        if not hmac.compare_digest(computed, payload):
            raise content_mismatch(payload, computed)


def _is_digest(payload: str) -> bool:
    return len(payload) == _DIGEST_CHARACTERS and _HEX_DIGITS.issuperset(payload)


def _no_digest(payload: str) -> ServiceError:
    """Return S3's error for an ``x-amz-content-sha256`` that means nothing."""
    return error_of(
        "InvalidArgument",
        400,
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        ArgumentName=_CONTENT_HASH,
        ArgumentValue=payload[:128],
    )


def _take_chunks(request: HttpRequest, payload: str, chain: Chain | None) -> None:
    """Decode an ``aws-chunked`` body as it is read."""
    headers = request.headers
    algorithm = _SIGNED_STREAMS.get(payload)
    known = payload == sigv4.STREAMING_UNSIGNED_TRAILER or (
        algorithm is not None and chain is not None and chain.algorithm == algorithm
    )
    if not known:
        raise error_of(
            "InvalidRequest", 400, "The value of x-amz-content-sha256 header is invalid."
        )
    text = headers.get("x-amz-decoded-content-length")
    if text is None:
        raise error_of(
            "MissingContentLength", 411, "You must provide the Content-Length HTTP header."
        )
    if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004 (petabytes)
        raise error_of("InvalidArgument", 400, "x-amz-decoded-content-length is malformed.")
    length = int(text)
    names = headers.get("x-amz-trailer", "") if payload.endswith("-TRAILER") else ""
    announced = [name.strip().lower() for name in names.split(",") if name.strip()]
    decoder = ChunkedDecoder(None if algorithm is None else chain, announced, length)
    raw = request.stream or BytesBody(request.body)
    request.stream = DecodedBody(raw, decoder, length)
    request.body = b""
    # What operations see is the object, not its framing.
    headers["content-length"] = text
    codings = [each.strip() for each in headers.get("content-encoding", "").split(",")]
    kept = [each for each in codings if each and each.lower() != "aws-chunked"]
    if kept:
        headers["content-encoding"] = ",".join(kept)
    else:
        headers.pop("content-encoding", None)


def _check_all_signed(headers: Mapping[str, str], signed: Authorization) -> None:
    """Refuse headers that mean something to S3 and were not signed.

    Raises:
        ServiceError: As S3: AccessDenied, with the headers' names.
    """
    names = signed.signed_headers
    missing = [
        name
        for name in headers
        if name.startswith("x-amz-") and name not in names and name != _CONTENT_HASH
    ]
    if "host" not in names:
        missing.append("host")
    if missing:
        raise error_of(
            "AccessDenied",
            403,
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(missing),
        )


def _s3_context(claim: Claim, payload: str | None, now_ms: int) -> Mapping[str, str]:
    """Return S3's condition keys on the signature."""
    keys = {"s3:signatureversion": claim.signed.algorithm, "s3:authType": "REST-HEADER"}
    if claim.presigned is not None:
        keys["s3:authType"] = "REST-QUERY-STRING"
        keys["s3:signatureAge"] = str(max(0, now_ms - time_ms_of(claim.timestamp)))
    if payload is not None:
        keys["s3:x-amz-content-sha256"] = payload
    return keys


def anonymous(request: HttpRequest, target: Target) -> Principal:
    """Return the anonymous principal, where the service has one.

    Args:
        request: A request without a signature.
        target: What it asks for; its operation is known.

    Raises:
        ServiceError: The service wants a signature.
    """
    door = target.door
    model = door.codec.model.operations.get(target.operation)
    if door.words.is_s3:
        payload = request.headers.get(_CONTENT_HASH, sigv4.UNSIGNED_PAYLOAD)
        take_s3_body(request, payload, None)
        return ANONYMOUS
    if model is not None and model.auth_none:
        return ANONYMOUS
    raise door.words.error(No.NO_SIGNATURE)
