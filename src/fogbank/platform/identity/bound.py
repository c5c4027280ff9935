"""Who has the names that a policy names; ``platform/iam/bound`` says what that is for."""

from __future__ import annotations

from typing import Any

from fogbank.base.arn import find_arn
from fogbank.platform.iam.bound import Bound, BoundName
from fogbank.platform.iam.policy import Policy
from fogbank.platform.identity.records import ACCOUNTS, ROLES, USERS, iam_domain
from fogbank.platform.store.engine import Placement, Transaction


class UnknownPrincipal(Exception):
    """A policy names a user or role that does not stand in an account of this cloud."""

    def __init__(self, arn: str) -> None:
        super().__init__(f"there is no {arn}")
        self.arn = arn


async def bind(placement: Placement, policy: Policy, sid: str = "") -> Bound:
    """Return whom the names of a policy mean that is about to be put.

    Args:
        placement: Where accounts are.
        policy: Compiled from its document alone.
        sid: The only statement whose names they are to be, if it is not the whole policy.

    Raises:
        UnknownPrincipal: A user or role does not stand in an account of this cloud.
    """
    bound: list[BoundName] = []
    for arn in sorted(policy.principal_arns):
        unique_id = await _find_unique_id(placement, arn)
        if unique_id is None:
            raise UnknownPrincipal(arn)
        if unique_id:
            bound.append(BoundName(arn, unique_id, sid))
    return tuple(bound)


async def gone(placement: Placement, bound: Bound) -> Bound:
    """Return those of the bound names that nobody or somebody else has now."""
    found = [(name, await _find_unique_id(placement, name.arn)) for name in bound]
    return tuple(name for name, unique_id in found if unique_id != name.unique_id)


async def _find_unique_id(placement: Placement, text: str) -> str | None:
    """Return the unique id of who has an ARN now.

    Returns:
        The id of the user, of the role, or of the role of the session; None if there is none of
        that name; '' for whom no id is kept: accounts that are not of this cloud, and federated
        users, who go by the name that they were given.
    """
    arn = find_arn(text)
    assert arn is not None, "a compiled policy names ARNs"
    kind, _, path = arn.resource.partition("/")
    # A session's ARN has no path.
    session = kind == "assumed-role"
    name = path.split("/")[0] if session else path.rpartition("/")[2]
    table: Any = USERS if kind == "user" else ROLES

    async def body(tr: Transaction) -> str | None:
        account = await ACCOUNTS.find(tr)
        if kind == "federated-user" or account is None:
            return ""
        if account.partition != arn.partition:
            return None
        entity = await table.find(tr, name.lower())
        if entity is None:
            return None
        named = name == entity.name if session else path == f"{entity.path}{entity.name}"[1:]
        return entity.unique_id if named else None

    return await placement.store_of(iam_domain(arn.account)).read(body)
