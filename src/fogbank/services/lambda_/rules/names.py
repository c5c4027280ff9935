"""Which function a request means.

Source: API Reference, "FunctionName": a name, a partial ARN (``account:function:name``) or an ARN,
each with or without a version; recorded answers of LocalStack's validated
``test_function_name_and_qualifier_validation``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.lambda_ import arns, quotas
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
)

_NAME: Final = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[\w.-]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[\w-]+))?",
    re.ASCII,
)


_REMEMBERED_MAX: Final = 1_024


class FunctionName(NamedTuple):
    """A function, fully named."""

    account: str
    region: str
    name: str
    qualifier: str
    """Empty if the request has none."""

    @property
    def arn(self) -> str:
        """Return the ARN without a version."""
        return arns.function_arn(self.region, self.account, self.name)

    @property
    def qualified_arn(self) -> str:
        """Return the ARN with the version that the request has, if any."""
        return arns.function_arn(self.region, self.account, self.name, self.qualifier)

    @property
    def not_found(self) -> ResourceNotFoundException:
        """Return the error that there is no such function."""
        return ResourceNotFoundException(f"Function not found: {self.qualified_arn}")


def name_of(scope: Scope, request: Request) -> FunctionName:
    """Return the function that a request means, wherever it claims to be.

    The model's pattern was checked before; what is none is taken as a plain name.
    """
    qualifier: str = request.get("Qualifier", "")
    return _name_of(request["FunctionName"], qualifier, scope.account, scope.region)


@lru_cache(_REMEMBERED_MAX)
def _name_of(text: str, qualifier: str, account: str, region: str) -> FunctionName:
    """Return the function that is meant; each request asks for it some times."""
    match = _NAME.fullmatch(text)
    named = match.groupdict() if match else {"name": text}
    return FunctionName(
        account=named.get("account") or account,
        region=named.get("region") or region,
        name=named["name"] or text,
        qualifier=named.get("qualifier") or qualifier,
    )


def function_name_of(scope: Scope, request: Request) -> FunctionName:
    """Return the function that a request means, which must be one of this region.

    Raises:
        InvalidParameterValueException: Name and qualifier contradict each other.
        ResourceNotFoundException: It names another region.
    """
    named = name_of(scope, request)
    qualifier: str = request.get("Qualifier", "")
    if qualifier and named.qualifier != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    if named.region != scope.region:
        raise ResourceNotFoundException(
            f"Functions from '{named.region}' are not reachable in this region ('{scope.region}')"
        )
    return named


def check_deletable(named: FunctionName) -> None:
    """Refuse to delete by a qualifier what is no published version."""
    if named.qualifier == LATEST:
        raise InvalidParameterValueException(
            "$LATEST version cannot be deleted without deleting the function."
        )
    if named.qualifier and not named.qualifier.isdigit():
        raise InvalidParameterValueException("Deletion of aliases is not currently supported.")


def new_name_of(scope: Scope, request: Request) -> FunctionName:
    """Return the name of a function to create."""
    named = function_name_of(scope, request)
    if len(named.name) > quotas.NAME_LENGTH_MAX:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{named.name}' at 'functionName' failed to "
            f"satisfy constraint: Member must have length less than or equal to "
            f"{quotas.NAME_LENGTH_MAX}"
        )
    return named._replace(qualifier="")


def function_domain(scope: Scope, request: Request) -> Domain:
    """Return the domain of the function that a request means."""
    return domain_of(name_of(scope, request).account, scope.region)


def tagged_name_of(scope: Scope, request: Request) -> FunctionName:
    """Return the function whose tags a request means, which must be one of this region.

    Raises:
        InvalidParameterValueException: It is a version or an alias, which have no tags.
        ResourceNotFoundException: It is of another region, or of a kind that has no tags here.
    """
    arn: str = request["Resource"]
    found = arns.find_function(arn)
    if found is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    named = FunctionName(*found)
    if named.qualifier:
        # AWS: also $LATEST (LocalStack's recorded answers, tag_resource).
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function "
            "ARN."
        )
    return function_name_of(scope, {"FunctionName": arn})


def tagged_domain(scope: Scope, request: Request) -> Domain:
    """Return the domain of what a request on tags means."""
    arn: str = request["Resource"]
    found = arns.find_function(arn) or arns.find_mapping(arn)
    return domain_of(scope.account if found is None else found[0], scope.region)


def find_tagged_mapping(scope: Scope, request: Request) -> str | None:
    """Return the id of the event source mapping whose tags a request means; None: it means none."""
    found = arns.find_mapping(request["Resource"])
    return found[2] if found is not None and found[1] == scope.region else None


def policy_name_of(scope: Scope, request: Request) -> FunctionName:
    """Return the function, version or alias whose policy a request means by its ARN.

    Raises:
        InvalidParameterValueException: It is ``$LATEST``, which has no policy of its own.
        ResourceNotFoundException: It is of another region, or of a kind that nobody has made.
    """
    arn: str = request["ResourceArn"]
    if arns.find_function(arn) is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    return require_not_latest(function_name_of(scope, {"FunctionName": arn}))


def require_not_latest(named: FunctionName) -> FunctionName:
    """Return what may have a policy, or refuse the call."""
    if named.qualifier == LATEST:
        raise InvalidParameterValueException(
            "We currently do not support adding policies for $LATEST."
        )
    return named


def policy_domain(scope: Scope, request: Request) -> Domain:
    """Return the domain of what a request on a policy means by its ARN."""
    found = arns.find_function(request["ResourceArn"])
    return domain_of(scope.account if found is None else found[0], scope.region)


@lru_cache(_REMEMBERED_MAX)
def domain_of(account: str, region: str) -> Domain:
    """Return the domain of an account's functions in a region."""
    return Domain("lambda", account, region)


def find_arn_domain(arn: str) -> Domain | None:
    """Return the domain of the ARN of a function or of a layer's version, or None if it is none."""
    found = arns.find_function(arn)
    if found is not None:
        return domain_of(found[0], found[1])
    layer = arns.find_layer(arn)
    return None if layer is None or not layer[3] else domain_of(layer[0], layer[1])


def find_stored_domain(arn: str) -> Domain | None:
    """Return the domain of the ARN of a function or event source mapping, or None."""
    mapping = arns.find_mapping(arn)
    return find_arn_domain(arn) if mapping is None else domain_of(mapping[0], mapping[1])


def is_function_arn(arn: str) -> bool:
    """Tell whether an ARN is a function's."""
    return arns.find_function(arn) is not None


def require_arn_domain(arn: str) -> Domain:
    """Return the domain of an ARN that is a function's."""
    domain = find_arn_domain(arn)
    assert is_function_arn(arn), "asked only for what is accepted"
    assert domain is not None, "which has one"
    return domain
