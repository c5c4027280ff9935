"""Versions and aliases: which record a qualifier of a function means.

Both lie under the function's key. A version is written once and never changes but for its revision;
it shares its code's blob with the function that it was published from.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from fogbank.platform.scheduler import worklist
from fogbank.platform.scheduler.worklist import WorkEntry
from fogbank.platform.store.engine import Transaction
from fogbank.platform.store.records import encode
from fogbank.services.lambda_.arns import LATEST
from fogbank.services.lambda_.errors import (
    AliasLimitExceededException,
    CodeStorageExceededException,
)
from fogbank.services.lambda_.rules import routing
from fogbank.services.lambda_.rules.names import FunctionName
from fogbank.services.lambda_.schema import (
    ALIASES,
    EVENT_CONFIGS,
    FUNCTIONS,
    QUALIFIED,
    VERSIONS,
    AliasRecord,
    FunctionRecord,
    GoneRecord,
)
from fogbank.services.lambda_.state import accounts, concurrency, grants, layers, urls

GONE: Final = "lambda.gone"
"""The work list of deleted functions of which versions and aliases may still lie here."""
FORGOTTEN_AT_ONCE: Final = 50
ALIASES_AT_ONCE: Final = 10_000
"""So many aliases are looked at: no more can be, whatever the quota says."""
PRIMARY: Final = 1.0
"""The share that is always the first version's of an alias."""

Qualified = FunctionRecord | AliasRecord


async def find_number(
    tr: Transaction, function: FunctionRecord, number: str
) -> FunctionRecord | None:
    """Return a function or one of its published versions, or None."""
    if number == LATEST:
        return function
    return await VERSIONS.find(tr, function.key, int(number))


async def find_qualified(
    tr: Transaction, function: FunctionRecord, qualifier: str
) -> Qualified | None:
    """Return what a qualifier names: the function itself, a version or an alias; or None."""
    if qualifier in {"", LATEST} or routing.is_number(qualifier):
        return await find_number(tr, function, qualifier or LATEST)
    return await ALIASES.find(tr, function.key, qualifier)


async def find_version(
    tr: Transaction, name: str, qualifier: str, share: float = PRIMARY
) -> FunctionRecord | None:
    """Return the version that a name and a qualifier mean, or None.

    Args:
        tr: The transaction.
        name: The function's.
        qualifier: A version, an alias, or empty.
        share: Where the invocation falls between the versions of an alias.
    """
    function = await FUNCTIONS.find(tr, name)
    return None if function is None else await find_of(tr, function, qualifier, share)


async def find_of(
    tr: Transaction, function: FunctionRecord, qualifier: str, share: float = PRIMARY
) -> FunctionRecord | None:
    """Return the version that a qualifier of a function means, or None."""
    found = await find_qualified(tr, function, qualifier)
    if isinstance(found, AliasRecord):
        return await find_number(tr, function, routing.version_for(found, share))
    return found


async def require_version(
    tr: Transaction, named: FunctionName, share: float = PRIMARY
) -> FunctionRecord:
    """Return the version that is meant, or refuse the call."""
    found = await find_version(tr, named.name, named.qualifier, share)
    if found is None:
        raise named.not_found
    return found


async def require_qualified(
    tr: Transaction, function: FunctionRecord, named: FunctionName
) -> Qualified:
    """Return what a request's qualifier names.

    Raises:
        ResourceNotFoundException: There is no such version, or no such alias, in other words.
    """
    found = await find_qualified(tr, function, named.qualifier)
    if found is not None:
        return found
    if routing.is_alias(named.qualifier):
        raise routing.no_alias(named, named.qualifier)
    raise named.not_found


def put_qualified(tr: Transaction, function: FunctionRecord, qualified: Qualified) -> None:
    """Write what ``find_qualified`` has found, changed."""
    if isinstance(qualified, AliasRecord):
        ALIASES.put(tr, qualified, function.key, qualified.name)
    elif qualified.version == LATEST:
        FUNCTIONS.put(tr, qualified, qualified.name)
    else:
        VERSIONS.put(tr, qualified, function.key, int(qualified.version))


# Versions.


class Limits(NamedTuple):
    """How much there may be."""

    versions: int
    code_bytes: int


async def publish(
    tr: Transaction, function: FunctionRecord, revision: str, description: str, limits: Limits
) -> tuple[FunctionRecord, bool]:
    """Return the version that a function is now, and whether it is a new one.

    AWS: there is no new version of what has not changed since the last, unless that is gone
    (recorded in LocalStack's ``test_version_lifecycle``).

    Raises:
        CodeStorageExceededException: There are too many, or more code than may be stored.
    """
    last = await VERSIONS.find(tr, function.key, function.next_version - 1)
    if last is not None and last.deployment == function.deployment:
        return last, False
    if function.versions >= limits.versions:
        raise CodeStorageExceededException(f"The function has {limits.versions} versions already.")
    await accounts.store_code(tr, function.code_size, limits.code_bytes)
    number = function.next_version
    version = msgspec.structs.replace(
        function,
        version=str(number),
        revision=revision,
        description=description,
        tags={},
        next_version=0,
        versions=0,
        reserved=-1,
        provisioned=0,
        loops=False,
        folder="",
        folder_mark="",
    )
    await layers.retain(tr, function)
    await grants.retain(tr, function)
    VERSIONS.put(tr, version, function.key, number)
    after = msgspec.structs.replace(
        function, next_version=number + 1, versions=function.versions + 1
    )
    FUNCTIONS.put(tr, after, after.name)
    return version, True


async def list_versions(
    tr: Transaction, function: FunctionRecord, after: int, limit: int
) -> list[FunctionRecord]:
    """Return up to ``limit`` published versions with numbers above one, in order."""
    found = await VERSIONS.list(tr, function.key, limit=limit, after=(after,))
    return [version for _, version in found]


async def delete_version(tr: Transaction, function: FunctionRecord, number: str) -> None:
    """Remove a published version and what is configured for it; it may be gone already.

    Raises:
        ResourceConflictException: An alias points to it.
    """
    version = await VERSIONS.find(tr, function.key, int(number))
    if version is None:
        return
    aliases = await list_aliases(tr, function)
    pointing = [each.name for each in aliases if version.version in (each.version, each.other)]
    if pointing:
        raise routing.referenced(pointing)
    await accounts.release_code(tr, version.code_size)
    await layers.release(tr, version)
    await grants.release(tr, version)
    VERSIONS.delete(tr, function.key, int(number))
    function = await forget(tr, function, version.version)
    after = msgspec.structs.replace(function, versions=function.versions - 1)
    FUNCTIONS.put(tr, after, after.name)


async def forget(tr: Transaction, function: FunctionRecord, qualifier: str) -> FunctionRecord:
    """Remove what is configured for a version or alias; return the function as it is then."""
    QUALIFIED.delete(tr, function.key, qualifier)
    EVENT_CONFIGS.delete(tr, function.key, qualifier)
    return await concurrency.unprovision(tr, function, qualifier)


# Aliases.


async def find_alias(tr: Transaction, function: FunctionRecord, name: str) -> AliasRecord | None:
    """Return an alias, or None."""
    return await ALIASES.find(tr, function.key, name)


async def create_alias(
    tr: Transaction, named: FunctionName, alias: AliasRecord, aliases_max: int
) -> None:
    """Write a new alias.

    Raises:
        ResourceNotFoundException: There is no such function or version.
        ResourceConflictException: There is an alias of that name.
        AliasLimitExceededException: There are too many.
    """
    function = await _require_versions(tr, named, alias)
    if await ALIASES.find(tr, function.key, alias.name) is not None:
        raise routing.exists(named, alias.name)
    if len(await list_aliases(tr, function)) >= aliases_max:
        raise AliasLimitExceededException(f"The function has {aliases_max} aliases already.")
    ALIASES.put(tr, alias, function.key, alias.name)


async def change_alias(tr: Transaction, named: FunctionName, alias: AliasRecord) -> None:
    """Write an alias that was changed.

    Raises:
        ResourceNotFoundException: There is no such version.
    """
    function = await _require_versions(tr, named, alias)
    ALIASES.put(tr, alias, function.key, alias.name)


async def _require_versions(
    tr: Transaction, named: FunctionName, alias: AliasRecord
) -> FunctionRecord:
    """Return the function of an alias; its versions must be there."""
    await require_version(tr, named._replace(qualifier=alias.version))
    if alias.other:
        await require_version(tr, named._replace(qualifier=alias.other))
    function = await FUNCTIONS.find(tr, named.name)
    assert function is not None, "one of its versions was found"
    return function


async def list_aliases(tr: Transaction, function: FunctionRecord) -> list[AliasRecord]:
    """Return the aliases of a function in order of name."""
    found = await ALIASES.list(tr, function.key, limit=ALIASES_AT_ONCE)
    return [alias for _, alias in found]


async def delete_alias(tr: Transaction, function: FunctionRecord, name: str) -> None:
    """Remove an alias and what is configured for it, its URL too; it may be gone already."""
    ALIASES.delete(tr, function.key, name)
    await forget(tr, function, name)
    url = await urls.find_url_of(tr, function, name)
    if url is not None:
        urls.delete_url(tr, url)


# What is left of functions that are gone.


def queue_forgetting(tr: Transaction, function: FunctionRecord, now_ms: int) -> None:
    """Have versions and aliases of a function removed, in the transaction that deletes it."""
    entry = WorkEntry(
        list=GONE,
        id=function.key,
        domain=tr.domain.name,
        payload=encode(GoneRecord(function.key)),
        created_ms=now_ms,
        visible_ms=now_ms,
    )
    worklist.put(tr, entry)


async def forget_some(tr: Transaction, gone: GoneRecord) -> bool:
    """Remove some of what lies under the key of a function that is gone; return whether all is."""
    versions = await VERSIONS.list(tr, gone.key, limit=FORGOTTEN_AT_ONCE)
    for (number,), version in versions:
        await accounts.release_code(tr, version.code_size)
        await layers.release(tr, version)
        await grants.release(tr, version)
        VERSIONS.delete(tr, gone.key, number)
    left = len(versions) == FORGOTTEN_AT_ONCE
    for table in (ALIASES, QUALIFIED, EVENT_CONFIGS):
        found = await table.list(tr, gone.key, limit=FORGOTTEN_AT_ONCE)
        for (name,), _ in found:
            table.delete(tr, gone.key, name)
        left = left or len(found) == FORGOTTEN_AT_ONCE
    left = await urls.forget_some(tr, gone.key) or left
    return not left
