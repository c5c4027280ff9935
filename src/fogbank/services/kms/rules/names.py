"""What requests name keys and aliases by, and where those lie.

Source: AWS KMS Developer Guide, "Key identifiers (KeyId)"; words of refusals as recorded in
LocalStack's validated ``TestKMS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from fogbank.base.arn import find_arn
from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.kms.arns import ALIAS, alias_arn, key_arn
from fogbank.services.kms.errors import (
    InvalidAliasNameException,
    NotAuthorizedException,
    NotFoundException,
)
from fogbank.services.kms.errors import ValidationException as Invalid
from fogbank.services.kms.rules import ciphertexts, tokens

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")
_ALIAS: Final = re.compile(r"alias/[a-zA-Z0-9/_-]+")
AWS_ALIAS: Final = "alias/aws/"
_KEY: Final = "key/"


class KeyName(NamedTuple):
    """What a request calls a key."""

    account: str
    region: str
    key_id: str
    """Empty: the alias says which."""
    alias: str = ""
    """With its prefix; empty: the key goes by its id."""

    @property
    def domain(self) -> Domain:
        """Return where the key lies."""
        return domain_of(self.account, self.region)

    def arn_of(self, key_id: str) -> str:
        """Return the ARN of the key with an id, which is what the name stands for."""
        return key_arn(self.region, self.account, key_id)

    @property
    def missing(self) -> NotFoundException:
        """Return the error if there is no such key or alias."""
        if self.alias:
            arn = alias_arn(self.region, self.account, self.alias)
            return NotFoundException(f"Alias {arn} is not found.")
        return no_key(self.arn_of(self.key_id))


def no_key(arn: str) -> NotFoundException:
    """Return the error for a key that does not stand."""
    return NotFoundException(f"Key '{arn}' does not exist")


def domain_of(account: str, region: str) -> Domain:
    """Return the domain of the keys of an account in a region."""
    return Domain("kms", account, region)


def key_name_of(scope: Scope, text: str, *, aliases: bool = True) -> KeyName:
    """Return whom a text names.

    Args:
        scope: The caller's account and region.
        text: A key id, a key ARN, an alias name or an alias ARN.
        aliases: Whether the operation takes aliases.

    Raises:
        NotFoundException: It can name nothing here.
    """
    account, region, resource = scope.account, scope.region, text
    arn = find_arn(text)
    if arn is not None:
        if arn.service != "kms" or arn.partition != scope.partition or not arn.account.isdecimal():
            raise NotFoundException(f"Invalid arn {text}")
        if arn.region != scope.region:
            raise NotFoundException(f"Invalid arn {arn.region}")
        account, region, resource = arn.account, arn.region, arn.resource
        if not resource.startswith((_KEY, ALIAS)):
            raise NotFoundException(f"Invalid arn {text}")
        resource = resource.removeprefix(_KEY)
    if aliases and resource.startswith(ALIAS):
        return KeyName(account, region, "", resource)
    if not _ID.fullmatch(resource):
        raise NotFoundException(f"Invalid keyId '{resource}'")
    return KeyName(account, region, resource)


def _of_account(scope: Scope, account: str) -> Domain:
    """Return the domain of an account's keys in the region of the request."""
    return domain_of(account, scope.region)


def domain_by(member: str) -> Callable[[Scope, Request], Domain]:
    """Return what gives the domain of the key that a member of the request names.

    What names nothing is refused by the operation, in the caller's own domain.
    """

    def domain(scope: Scope, request: Request) -> Domain:
        arn = find_arn(request.get(member) or "")
        if arn is None or not arn.account.isdecimal():
            return _of_account(scope, scope.account)
        return _of_account(scope, arn.account)

    return domain


def ciphertext_domain(scope: Scope, request: Request) -> Domain:
    """Return the domain of the key that a ciphertext is of."""
    header = ciphertexts.find_header(request.get("CiphertextBlob") or b"")
    return _of_account(scope, scope.account if header is None else header.account)


def retired_domain(scope: Scope, request: Request) -> Domain:
    """Return the domain of the key whose grant is to be retired."""
    named = tokens.find_named(request.get("GrantToken") or "")
    if named is not None:
        return _of_account(scope, named.account)
    return domain_by("KeyId")(scope, request)


def find_arn_domain(arn: str) -> Domain | None:
    """Return the domain of a key's ARN, or None if it is not one."""
    parsed = find_arn(arn)
    if parsed is None or parsed.service != "kms" or not parsed.resource.startswith(_KEY):
        return None
    return domain_of(parsed.account, parsed.region)


def key_id_in(arn: str) -> str:
    """Return the id in the ARN of a key."""
    return arn.rpartition(f":{_KEY}")[2]


def check_alias(name: str) -> None:
    """Refuse a name that no alias of a customer can have.

    Source: API Reference, CreateAlias, ``AliasName``.
    """
    if not name.startswith(ALIAS):
        raise Invalid(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if name.startswith(AWS_ALIAS):
        # AWS: names that begin so are those of its own keys; the message is empty.
        raise NotAuthorizedException
    if not _ALIAS.fullmatch(name):
        raise InvalidAliasNameException("Alias contains invalid characters.")
