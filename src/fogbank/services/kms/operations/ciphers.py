"""Operations that encrypt and decrypt, and that make data keys to encrypt with elsewhere.

Nothing of them is stored: material is read in one short transaction, and used outside of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fogbank.base.types import Request
from fogbank.contract.call import Call
from fogbank.contract.operation import operation
from fogbank.platform.store.engine import Transaction
from fogbank.services.kms.errors import (
    AccessDeniedException,
    IncorrectKeyException,
    InvalidCiphertextException,
    ValidationException,
)
from fogbank.services.kms.rules import access, ciphertexts, names, requests, states
from fogbank.services.kms.rules.ciphertexts import Header
from fogbank.services.kms.rules.specs import ENCRYPT, SYMMETRIC
from fogbank.services.kms.schema import MaterialRecord
from fogbank.services.kms.state import keys
from fogbank.services.kms.state.permitted import Found, check_tokens, end_dry_run, permitted

if TYPE_CHECKING:
    from fogbank.wire.shapes import kms as shapes

Context = dict[str, str]
_INCORRECT: Final = (
    "The key ID in the request does not identify a CMK that can perform this operation."
)
_NO_KEY: Final = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this "
    "region, or you are not allowed to access."
)


class _Sealed(NamedTuple):
    """A ciphertext, the key that it is of and the material that made it."""

    blob: bytes
    arn: str
    material: str


async def _encrypting(
    call: Call, request: Request, text: str, keys_: access.Keys, action: str
) -> Found:
    """Return a key that the caller may encrypt with."""
    found = await permitted(call, text, keys_, action=action, aliases=True, foreign=True)
    states.check_enabled(found.arn, found.key)
    states.check_usage(found.arn, found.key, ENCRYPT, call.operation)
    await check_tokens(call, found.name, request)
    return found


async def _seal(call: Call, found: Found, plaintext: bytes, context: Context) -> _Sealed:
    """Return what a key makes of a plaintext."""

    async def body(tr: Transaction) -> tuple[int, MaterialRecord]:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        return key.material, await keys.require_material(tr, key)

    number, material = await call.read(found.name.domain, body)
    header = Header(found.name.account, found.key.id, number)
    blob = ciphertexts.sealed(material.secret, header, plaintext, context, call.ids.random_bytes)
    return _Sealed(blob, found.arn, material.id)


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def encrypt(call: Call, request: shapes.EncryptRequest) -> shapes.EncryptResponse:
    """Encrypt up to 4,096 bytes."""
    context = requests.context_of(request.get("EncryptionContext"))
    algorithm = requests.algorithm_of(request.get("EncryptionAlgorithm"))
    cipher_keys = access.cipher_keys(context)
    found = await _encrypting(call, request, request["KeyId"], cipher_keys, "Encrypt")
    states.check_algorithm(found.key, algorithm)
    end_dry_run(asked=request.get("DryRun", False))
    sealed = await _seal(call, found, request["Plaintext"], context)
    return {"CiphertextBlob": sealed.blob, "KeyId": sealed.arn, "EncryptionAlgorithm": SYMMETRIC}


@operation(
    access=access.in_operation,
    domain=names.ciphertext_domain,
    unhonoured={"Recipient": None, "DryRunModifiers": []},
)
async def decrypt(call: Call, request: shapes.DecryptRequest) -> shapes.DecryptResponse:
    """Decrypt a ciphertext, with the key that it names."""
    context = requests.context_of(request.get("EncryptionContext"))
    requests.algorithm_of(request.get("EncryptionAlgorithm"))
    blob = requests.ciphertext_of(request)
    found, header = await _decrypting(call, blob, request.get("KeyId"), context, {}, "Decrypt")
    await check_tokens(call, found.name, request)
    plaintext, material = await _open(call, found, header, blob, context)
    end_dry_run(asked=request.get("DryRun", False))
    return {
        "KeyId": found.arn,
        "Plaintext": plaintext,
        "EncryptionAlgorithm": SYMMETRIC,
        "KeyMaterialId": material,
    }


async def _decrypting(
    call: Call,
    blob: bytes,
    text: str | None,
    context: Context,
    more: access.Keys,
    action: str,
) -> tuple[Found, Header]:
    """Return the key that a ciphertext is of, which the caller may decrypt with."""
    header = ciphertexts.find_header(blob)
    if header is None:
        raise InvalidCiphertextException
    own = names.KeyName(header.account, call.region, header.key_id)
    if await call.read(own.domain, lambda tr: keys.find_key(tr, own)) is None:
        raise AccessDeniedException(_NO_KEY)
    allowed = {**access.cipher_keys(context), **more}
    found = await permitted(
        call, text or own.arn_of(own.key_id), allowed, action=action, aliases=True, foreign=True
    )
    if found.key.id != header.key_id or found.name.account != header.account:
        raise IncorrectKeyException(_INCORRECT)
    states.check_enabled(found.arn, found.key)
    return found, header


async def _open(
    call: Call, found: Found, header: Header, blob: bytes, context: Context
) -> tuple[bytes, str]:
    """Return what a ciphertext holds, and the id of the material that made it."""

    async def body(tr: Transaction) -> MaterialRecord | None:
        key = await keys.require_key(tr, found.name, found.key.id)
        states.check_enabled(found.arn, key)
        return await keys.find_material(tr, key, header.material)

    material = await call.read(found.name.domain, body)
    if material is None:
        raise InvalidCiphertextException
    return ciphertexts.opened(material.secret, blob, context), material.id


@operation(
    access=access.in_operation,
    domain=names.domain_by("DestinationKeyId"),
    unhonoured={"DryRunModifiers": []},
)
async def re_encrypt(call: Call, request: shapes.ReEncryptRequest) -> shapes.ReEncryptResponse:
    """Decrypt a ciphertext and encrypt what it holds under another key or context."""
    before = requests.context_of(request.get("SourceEncryptionContext"))
    after = requests.context_of(request.get("DestinationEncryptionContext"))
    requests.algorithm_of(request.get("SourceEncryptionAlgorithm"))
    requests.algorithm_of(request.get("DestinationEncryptionAlgorithm"))
    blob = requests.ciphertext_of(request)
    target = names.key_name_of(call.scope, request["DestinationKeyId"])
    standing = await call.read(target.domain, lambda tr: keys.find_key(tr, target))
    header = ciphertexts.find_header(blob)
    same = header is not None and standing is not None and standing.id == header.key_id
    more = access.reencryption_keys(same=same)
    source, header = await _decrypting(
        call, blob, request.get("SourceKeyId"), before, dict(more), "ReEncryptFrom"
    )
    found = await _encrypting(
        call,
        request,
        request["DestinationKeyId"],
        {**access.cipher_keys(after), **more},
        "ReEncryptTo",
    )
    plaintext, material = await _open(call, source, header, blob, before)
    end_dry_run(asked=request.get("DryRun", False))
    sealed = await _seal(call, found, plaintext, after)
    return {
        "CiphertextBlob": sealed.blob,
        "SourceKeyId": source.arn,
        "KeyId": sealed.arn,
        "SourceEncryptionAlgorithm": SYMMETRIC,
        "DestinationEncryptionAlgorithm": SYMMETRIC,
        "SourceKeyMaterialId": material,
        "DestinationKeyMaterialId": sealed.material,
    }


@operation(
    access=access.in_operation,
    domain=names.domain_by("KeyId"),
    unhonoured={"Recipient": None},
)
async def generate_data_key(
    call: Call, request: shapes.GenerateDataKeyRequest
) -> shapes.GenerateDataKeyResponse:
    """Make a data key; return it plain and encrypted."""
    plaintext, sealed = await _data_key(call, request)
    return {
        "CiphertextBlob": sealed.blob,
        "Plaintext": plaintext,
        "KeyId": sealed.arn,
        "KeyMaterialId": sealed.material,
    }


@operation(access=access.in_operation, domain=names.domain_by("KeyId"))
async def generate_data_key_without_plaintext(
    call: Call, request: shapes.GenerateDataKeyWithoutPlaintextRequest
) -> shapes.GenerateDataKeyWithoutPlaintextResponse:
    """Make a data key; return it encrypted only."""
    _, sealed = await _data_key(call, request)
    return {
        "CiphertextBlob": sealed.blob,
        "KeyId": sealed.arn,
        "KeyMaterialId": sealed.material,
    }


async def _data_key(
    call: Call,
    request: shapes.GenerateDataKeyRequest | shapes.GenerateDataKeyWithoutPlaintextRequest,
) -> tuple[bytes, _Sealed]:
    """Return a fresh data key, plain and encrypted."""
    context = requests.context_of(request.get("EncryptionContext"))
    size = requests.data_key_bytes(request.get("KeySpec"), request.get("NumberOfBytes"))
    cipher_keys = access.cipher_keys(context)
    found = await _encrypting(call, request, request["KeyId"], cipher_keys, call.operation)
    end_dry_run(asked=request.get("DryRun", False))
    plaintext = call.ids.random_bytes(size)
    return plaintext, await _seal(call, found, plaintext, context)


@operation(
    access=access.of_account("GenerateRandom"),
    unhonoured={"CustomKeyStoreId": None, "Recipient": None},
)
async def generate_random(
    call: Call, request: shapes.GenerateRandomRequest
) -> shapes.GenerateRandomResponse:
    """Return bytes of the operating system's source of entropy."""
    if "NumberOfBytes" not in request:
        raise ValidationException("NumberOfBytes is required.")
    return {"Plaintext": call.ids.random_bytes(request["NumberOfBytes"])}
