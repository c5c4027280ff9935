"""Uploads of browsers: a form that is posted to a bucket becomes a PutObject with its proof checked.

Rule: the fields are read and bounded, then who signed their policy is proved and the policy is held
against them, and only then does anything go to the operation: the file, as it streams, in the place of
a request's body. What a form may say are the headers of PutObject that the API Reference lists.

Source: Amazon S3 API Reference, "Browser-Based Uploads Using POST (AWS Signature Version 4)" and
"POST Object"; messages as AWS sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus, urlencode, urlsplit
from xml.sax.saxutils import escape

import msgspec

from fogbank.base.errors import ServiceError
from fogbank.gateway.authenticate import Authenticator
from fogbank.gateway.body import READ_BYTES, BytesBody
from fogbank.gateway.claim import Claim, unsupported
from fogbank.gateway.post_policy import PostPolicy, policy_of
from fogbank.gateway.render import error_of
from fogbank.gateway.resolve import Target
from fogbank.gateway.scope import check_scope
from fogbank.gateway.visit import Visit
from fogbank.platform.identity.cache import NO_EPOCH, Epoch
from fogbank.platform.identity.principal import ANONYMOUS, Principal
from fogbank.wire import sigv2, sigv4
from fogbank.wire.errors import MalformedXML
from fogbank.wire.forms import FormParser, FormTooLong, MalformedForm, boundary_of
from fogbank.wire.http import BodyStream, HttpReply, HttpRequest
from fogbank.wire.sigv4 import Authorization
from fogbank.wire.xml import MALFORMED, local, parse

FORM_TYPE: Final = "multipart/form-data"
OPERATION: Final = "PutObject"
_FILENAME: Final = "${filename}"
_SCOPE_PARTS: Final = 5
_KEPT_HEADERS: Final = ("host", "user-agent", "referer", "origin")
"""Of the request itself: policies may ask for them."""
_HEADERS: Final = frozenset(
    (
        *("cache-control", "content-type", "content-disposition", "content-encoding", "expires"),
        *("x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-checksum-type"),
        *("x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme"),
        *("x-amz-checksum-sha1", "x-amz-checksum-sha256", "x-amz-checksum-sha512"),
        *("x-amz-checksum-md5", "x-amz-checksum-xxhash64", "x-amz-checksum-xxhash3"),
        *("x-amz-checksum-xxhash128", "x-amz-request-payer"),
        *("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"),
        "x-amz-object-lock-legal-hold",
    )
)
_HEADER_PREFIXES: Final = ("x-amz-meta-", "x-amz-server-side-encryption", "x-amz-grant-")
"""Fields that are headers of PutObject."""
_PUT_BYTES_MAX: Final = 5 << 30
_STATUSES: Final = ("200", "201", "204")


def is_form(request: HttpRequest, target: Target) -> bool:
    """Return whether a request is a browser's upload: a form, posted to a bucket, unsigned itself."""
    return (
        request.method == "POST"
        and target.door.words.is_s3
        and not request.query
        and request.headers.get("content-type", "").lower().startswith(FORM_TYPE)
        and "authorization" not in request.headers
        and bool(_bucket_of(request, target))
    )


def _bucket_of(request: HttpRequest, target: Target) -> str:
    """Return the bucket that a form is posted to; empty if that is none."""
    if target.host.bucket:
        return target.host.bucket if request.path in ("", "/") else ""
    bucket = request.path.strip("/")
    return bucket if "/" not in bucket and "%" not in bucket else ""


class Posted(NamedTuple):
    """A form whose proof held: what performs its upload, and what its client hears."""

    claim: Claim | None
    """What proves its caller again; None: nobody signed it."""
    principal: Principal
    epoch: Epoch
    bucket: str
    key: str
    fields: Mapping[str, str]
    url: str
    """Of the object."""

    def reply(self, stored: HttpReply) -> HttpReply:
        """Return the answer to a form, given that of the PutObject that it became."""
        headers = [
            (name, value) for name, value in stored.headers if name.lower() != "content-type"
        ]
        etag = next((value for name, value in headers if name.lower() == "etag"), "")
        redirect = self._redirect(etag)
        if redirect:
            return HttpReply(303, [*headers, ("location", redirect)])
        headers.append(("location", self.url))
        status = self.fields.get("success_action_status", "")
        if status not in _STATUSES:
            status = "204"
        if status != "201":
            return HttpReply(int(status), headers)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>'
            f"<Location>{escape(self.url)}</Location><Bucket>{escape(self.bucket)}</Bucket>"
            f"<Key>{escape(self.key)}</Key><ETag>{escape(etag)}</ETag></PostResponse>"
        )
        return HttpReply(201, [*headers, ("content-type", "application/xml")], body.encode())

    def _redirect(self, etag: str) -> str:
        """Return where the client goes on, with what it is told of the object; empty: nowhere."""
        wanted = self.fields.get("success_action_redirect") or self.fields.get("redirect", "")
        try:
            parts = urlsplit(wanted)
        except ValueError:
            return ""
        if parts.scheme not in ("http", "https") or not parts.netloc or not _is_header(wanted):
            # AWS: a URL that S3 cannot interpret counts as none ("POST Object", Form Fields).
            return ""
        told = {"bucket": self.bucket, "key": self.key, "etag": etag}
        query = "&".join(f"{name}={quote_plus(value)}" for name, value in told.items())
        mark = "&" if parts.query else "?"
        return f"{wanted}{mark}{query}"


def _is_header(text: str) -> bool:
    """Return whether a text may stand in a header."""
    return text.isprintable() and text.isascii() and " " not in text


class Forms:
    """Opens the forms that are posted to buckets.

    Args:
        authenticator: Proves who signed.
        takes_older: Whether signatures of version 2 are taken.
    """

    def __init__(self, authenticator: Authenticator, *, takes_older: bool) -> None:
        self._authenticator = authenticator
        self._takes_older = takes_older

    async def open(self, visit: Visit, target: Target, request: HttpRequest) -> Posted:
        """Prove a form and make its request the PutObject that it asks for.

        Raises:
            ServiceError: It is no form, its signature does not hold, or its policy forbids it.
        """
        bucket = _bucket_of(request, target)
        visit.operation = target.operation = OPERATION
        parser, body, first = await _read_fields(request)
        fields = _fields_of(parser)
        if not parser.has_file:
            raise _argument("POST requires exactly one file upload per request.", "file", "0")
        if not fields.get("key"):
            raise _missing("key")
        claim, policy = self._claim_of(target, fields)
        principal, epoch = ANONYMOUS, NO_EPOCH
        if claim is not None:
            proof = await self._authenticator.prove_text(request, target, claim, fields["policy"])
            principal, epoch = proof.credential.principal, proof.epoch
            visit.principal, visit.epoch = principal, epoch
        elif "policy" in fields:
            raise _missing("signature" if "awsaccesskeyid" in fields else "X-Amz-Signature")
        expanded = {
            name: value if name == "policy" else value.replace(_FILENAME, parser.filename)
            for name, value in fields.items()
        }
        if policy is not None:
            policy.check({**expanded, "bucket": bucket}, self._authenticator.now_ms())
        length = (0, _PUT_BYTES_MAX) if policy is None or policy.length is None else policy.length
        request.stream = FormFile(parser, body, first, length)
        request.body = b""
        _make_put(visit, target, request, (bucket, expanded))
        key = expanded["key"]
        base = target.host.urls[request.secure]
        url = f"{base}/{quote(key)}" if target.host.bucket else f"{base}/{bucket}/{quote(key)}"
        return Posted(claim, principal, epoch, bucket, key, expanded, url)

    def _claim_of(
        self, target: Target, fields: Mapping[str, str]
    ) -> tuple[Claim | None, PostPolicy | None]:
        """Return what a form says of its signer, and its policy; neither, if nobody signed it.

        Raises:
            ServiceError: A field is missing, or is not what it must be.
        """
        token = fields.get("x-amz-security-token", "")
        if "x-amz-signature" in fields:
            signed, date = _signed_of(fields)
            check_scope(date, signed, target)
            claim = Claim(signed, None, date, token)
        elif "signature" in fields:
            if not self._takes_older:
                raise unsupported()
            if not fields.get("awsaccesskeyid"):
                raise _missing("AWSAccessKeyId")
            signed = Authorization(
                fields["awsaccesskeyid"], "", "", "s3", (), fields["signature"], sigv2.ALGORITHM
            )
            claim = Claim(signed, None, "", token)
        else:
            return None, None
        if not fields.get("policy"):
            raise _missing("policy")
        return claim, policy_of(fields["policy"])


def _signed_of(fields: Mapping[str, str]) -> tuple[Authorization, str]:
    """Return the parts of a signature of version 4, and its date."""
    for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date"):
        if not fields.get(name.lower()):
            raise _missing(name)
    if fields["x-amz-algorithm"] != sigv4.ALGORITHM:
        raise _argument(
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"',
            "X-Amz-Algorithm",
            fields["x-amz-algorithm"],
        )
    credential = fields["x-amz-credential"].split("/")
    if len(credential) != _SCOPE_PARTS or credential[4] != "aws4_request":
        raise error_of(
            "AuthorizationQueryParametersError",
            400,
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    key_id, date, region, service, _ = credential
    signature = fields["x-amz-signature"]
    return Authorization(key_id, date, region, service, (), signature), fields["x-amz-date"]


def _missing(name: str) -> ServiceError:
    return _argument(
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the "
        "order of the fields.",
        name,
        "",
    )


def _argument(message: str, name: str, value: str) -> ServiceError:
    return error_of("InvalidArgument", 400, message, ArgumentName=name, ArgumentValue=value[:256])


def _malformed() -> ServiceError:
    return error_of(
        "MalformedPOSTRequest",
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    )


async def _read_fields(request: HttpRequest) -> tuple[FormParser, BodyStream, bytes]:
    """Return the fields of a form, the rest of its body, and what of the file was read with them.

    Raises:
        ServiceError: It is no form, or its fields are too long.
    """
    body = request.stream or BytesBody(request.body)
    try:
        parser = FormParser(boundary_of(request.headers.get("content-type", "")))
        first = b""
        while not (parser.has_file or parser.is_over):
            raw = await body.read(READ_BYTES)
            if not raw:
                parser.finish()
            first = parser.feed(raw)
    except MalformedForm:
        raise _malformed() from None
    except FormTooLong:
        raise error_of(
            "MaxPostPreDataLengthExceeded",
            400,
            "Your POST request fields preceding the upload file were too large.",
        ) from None
    return parser, body, first


def _fields_of(parser: FormParser) -> dict[str, str]:
    """Return the fields by lower-case name; of two of one name the last counts."""
    return {name.lower(): value for name, value in parser.fields}


class FormFile:
    """The file of a form, as it comes: a ``BodyStream`` whose end is the form's delimiter."""

    __slots__ = ("_body", "_length", "_parser", "_ready", "_size")

    def __init__(
        self, parser: FormParser, body: BodyStream, first: bytes, length: tuple[int, int]
    ) -> None:
        self._parser = parser
        self._body = body
        self._ready = first
        self._length = length
        self._size = 0

    @property
    def length(self) -> int | None:
        """Return None: a form does not say how long its file is."""
        return None

    async def read(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, at least one; empty bytes at the end.

        Raises:
            ServiceError: The form breaks off, or its file is longer or shorter than its policy
                allows.
        """
        least, most = self._length
        while not self._ready and not self._parser.is_over:
            raw = await self._body.read(READ_BYTES)
            if not raw:
                raise _malformed()
            self._ready = self._parser.feed(raw)
        piece, self._ready = self._ready[:limit], self._ready[limit:]
        self._size += len(piece)
        if self._size > most:
            raise error_of(
                "EntityTooLarge",
                400,
                "Your proposed upload exceeds the maximum allowed size",
                ProposedSize=self._size,
                MaxSizeAllowed=most,
            )
        if not piece and self._size < least:
            raise error_of(
                "EntityTooSmall",
                400,
                "Your proposed upload is smaller than the minimum allowed size",
                ProposedSize=self._size,
                MinSizeAllowed=least,
            )
        return piece


def _make_put(
    visit: Visit, target: Target, request: HttpRequest, said: tuple[str, Mapping[str, str]]
) -> None:
    """Make a request the PutObject that its form asks for."""
    bucket, fields = said
    headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
    headers |= {
        name: value
        for name, value in fields.items()
        if name in _HEADERS or name.startswith(_HEADER_PREFIXES)
    }
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    if fields.get("tagging"):
        headers["x-amz-tagging"] = _tags_of(fields["tagging"])
    request.method, request.headers = "PUT", headers
    target.params = {"Bucket": bucket, "Key": fields["key"]}
    keys = {"s3:authType": "POST"}
    target.context = {**target.context, **keys}
    visit.http = msgspec.structs.replace(visit.http, headers=headers)


def _tags_of(text: str) -> str:
    """Return the tags of a form's document as PutObject's header has them.

    Raises:
        MalformedXML: It is no document of tags.
    """
    root = parse(text.encode())
    tags: list[tuple[str, str]] = []
    if local(root.tag) != "Tagging":
        raise MalformedXML(MALFORMED)
    for tag in root.iter():
        if local(tag.tag) == "Tag":
            pair = {local(each.tag): each.text or "" for each in tag}
            tags.append((pair.get("Key", ""), pair.get("Value", "")))
    return urlencode(tags, quote_via=quote)
