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
        ResourceNotFoundException: It names another region, or a version that cannot be.
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
    if named.qualifier not in {"", LATEST}:
        # There are no versions and no aliases yet, so nothing else can be found.
        raise named.not_found
    return named


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
        ResourceNotFoundException: It is of another region, or of a kind that nobody has made.
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
    found = arns.find_function(request["Resource"])
    return domain_of(scope.account if found is None else found[0], scope.region)


@lru_cache(_REMEMBERED_MAX)
def domain_of(account: str, region: str) -> Domain:
    """Return the domain of an account's functions in a region."""
    return Domain("lambda", account, region)


def find_arn_domain(arn: str) -> Domain | None:
    """Return the domain of a function's ARN, or None if it is none."""
    found = arns.find_function(arn)
    return None if found is None else domain_of(found[0], found[1])


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
    assert domain is not None, "asked only for what is accepted"
    return domain
