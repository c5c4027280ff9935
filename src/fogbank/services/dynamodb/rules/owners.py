"""Whose the resources are that a request names: where an ARN is given, its account's.

Rule: an operation that other accounts may be let into gives one of these as its ``domain=``, and
reads the names of its tables with ``names.shared_name``, which takes those in that domain alone. All
others work in their caller's own account, whatever they are given.

Source: Amazon DynamoDB Developer Guide, "DynamoDB API operations supported by resource-based
policies": which of them other accounts may be let into.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from fogbank.base.types import Request
from fogbank.contract.action import Scope
from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.arns import SERVICE
from fogbank.services.dynamodb.rules.resources import find_resource
from fogbank.services.dynamodb.rules.shards import ITERATOR_MARK

_DOMAINS_REMEMBERED_MAX: Final = 1_024


@lru_cache(maxsize=_DOMAINS_REMEMBERED_MAX)
def domain_of(account: str, region: str) -> Domain:
    """Return the domain of the tables of an account in a region."""
    return Domain(SERVICE, account, region)


def of_table(scope: Scope, request: Request) -> Domain:
    """Return the domain of the table that ``TableName`` names."""
    given: str = request["TableName"]
    if not given.startswith("arn:"):
        return domain_of(scope.account, scope.region)
    return _of_arns(scope, (given,))


def of_tables(scope: Scope, request: Request) -> Domain:
    """Return the domain of the tables that ``RequestItems`` name."""
    return _of_arns(scope, request["RequestItems"])


def of_parts(scope: Scope, request: Request) -> Domain:
    """Return the domain of the tables that the parts of a transaction name."""
    return _of_arns(
        scope, (each["TableName"] for part in request["TransactItems"] for each in part.values())
    )


def of_resource(scope: Scope, request: Request) -> Domain:
    """Return the domain of what ``ResourceArn`` names."""
    return _of_arns(scope, (request["ResourceArn"],))


def of_stream(scope: Scope, request: Request) -> Domain:
    """Return the domain of the stream that ``StreamArn`` names."""
    return _of_arns(scope, (request["StreamArn"],))


def of_iterator(scope: Scope, request: Request) -> Domain:
    """Return the domain of the stream that an iterator begins with."""
    return _of_arns(scope, (request["ShardIterator"].partition(ITERATOR_MARK)[0],))


def _of_arns(scope: Scope, given: Iterable[str]) -> Domain:
    """Return the domain of the first name; what is no ARN of the region is the caller's own."""
    for name in given:
        found = find_resource(name) if name.startswith("arn:") else None
        if found is not None and found.region == scope.region and found.is_owned:
            return domain_of(found.account, scope.region)
        break
    return domain_of(scope.account, scope.region)


def owner_scope(scope: Scope, domain: Domain) -> Scope:
    """Return the scope of a call as the owner of its domain would have it, for the ARNs it tells."""
    owner = domain.name[1]
    return scope if owner == scope.account else msgspec.structs.replace(scope, account=owner)
