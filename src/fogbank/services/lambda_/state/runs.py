"""What is to be known of a function to run it: the version, and what may run at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from fogbank.contract.quota import Quotas
from fogbank.platform.runtime.functions import Functions
from fogbank.platform.store.engine import Transaction
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.rules.concurrency import Room
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import FUNCTIONS, FunctionRecord
from fogbank.services.lambda_.state import accounts, versions


class Runnable(NamedTuple):
    """A version that is to run."""

    version: FunctionRecord
    room: Room
    loops: bool = False
    """Whether the function may invoke itself again and again."""


def sampler_of(
    functions: Functions, function_arn: str, version: FunctionRecord
) -> Callable[[], bool] | None:
    """Return what decides whether an invocation of a version is traced; None: it has no traces made."""
    return partial(functions.sample, function_arn) if version.traced else None


async def find_runnable(
    tr: Transaction, name: str, qualifier: str, share: float, in_force: Quotas
) -> Runnable | None:
    """Return what is to run, or None if it is not there.

    Args:
        tr: The transaction.
        name: The function's.
        qualifier: A version, an alias, or empty.
        share: Where the invocation falls between the versions of an alias.
        in_force: The quotas.
    """
    function = await FUNCTIONS.find(tr, name)
    if function is None:
        return None
    version = await versions.find_of(tr, function, qualifier, share)
    if version is None:
        return None
    shared_max = in_force.value(quotas.CONCURRENCY) - await accounts.find_held(tr)
    room = Room(function.reserved, max(0, shared_max))
    return Runnable(version, room, function.loops)


async def require_runnable(
    tr: Transaction, named: FunctionName, share: float, in_force: Quotas
) -> Runnable:
    """Return what is to run, or refuse the call."""
    found = await find_runnable(tr, named.name, named.qualifier, share, in_force)
    if found is None:
        raise named.not_found
    return found
