"""Strongly consistent global tables: what may be asked for, and what each replica knows.

Rule: the items of such a table lie once, in the domain of its home, the region in which it was made; so
a read in any region sees every write that was acknowledged in any. The table of every other replica
holds what is a region's own (its id, tags, policy, protection) and a copy of the definitions, and no
item. A witness is a region that is named, and no table.

Source: Amazon DynamoDB Developer Guide, "How DynamoDB global tables work", "Multi-Region strong
consistency (MRSC)"; what stands together, and the words of the refusals, are those that others measured
on AWS in October 2026 (ack-api-quirks, DDB-TABLE-202, 257 to 261), but for those marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request, Wire
from fogbank.contract.action import Scope
from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules import replicas
from fogbank.services.dynamodb.schema import (
    ACTIVE,
    CREATING,
    DELETING,
    NO_INSIGHTS,
    InsightsRecord,
    TableRecord,
)
from fogbank.services.dynamodb.schema.replicas import (
    ReplicaRecord,
    ReplicaRecoveryRecord,
    ReplicaStreamRecord,
    StrongRecord,
)

if TYPE_CHECKING:
    from fogbank.wire.shapes import dynamodb as shapes

CONSISTENCY: Final = "MultiRegionConsistency"
WITNESSES: Final = "GlobalTableWitnessUpdates"
STRONG: Final = "STRONG"
PROTECTION: Final = "DeletionProtectionEnabled"
"""What a region has for itself, whatever else a request changes."""
REGIONS: Final = 3
_BESIDE: Final = frozenset({"TableName", replicas.MEMBER, CONSISTENCY, WITNESSES})
_THE_TABLE: Final = -1
"""Under which its own insights are, beside those of its indexes."""
_NO_RECOVERY: Final = ReplicaRecoveryRecord(since_ms=0, days=0)
_SET: Final = " for global tables with MultiRegionConsistency set to STRONG"
_ONE: Final = f"Deletion of only one table replica is not supported{_SET}."
TRANSACTIONS: Final = (
    "Transactional operations are not supported on global tables with MultiRegionConsistency set to"
    " STRONG"
)
"""AWS: they "will return an error" of which no page gives the words."""
TIME_TO_LIVE: Final = f"Time to Live is not supported{_SET}"
"""Likewise."""


class Change(NamedTuple):
    """What a request asks for of a strongly consistent global table."""

    kind: str
    """``Create`` or ``Delete``."""
    regions: tuple[str, ...]
    """Of the replicas."""
    witness: str
    """The region of the witness; empty: of none."""


def is_asked(request: Request, table: TableRecord) -> bool:
    """Return whether an UpdateTable request with replicas is about strong consistency."""
    return (
        request.get(CONSISTENCY) == STRONG
        or bool(request.get(WITNESSES))
        or table.strong is not None
    )


def change_of(scope: Scope, table: TableRecord, request: Request) -> Change:
    """Return what an UpdateTable request asks for.

    Raises:
        ValidationException: It asks for what no such table can be.
    """
    if not _BESIDE.issuperset(request):
        raise ValidationException(
            "Requests that modify replicas or witnesses must not also modify other fields"
        )
    witnesses = _witnesses_of(request)
    updates: list[Wire] = request[replicas.MEMBER]
    actions = [replicas.action_in(update) for update in updates]
    for action in actions:
        replicas.require_region_of(scope, action)
    if table.strong is None:
        return _creation(scope, table, request, actions, witnesses)
    return _deletion(table.strong, request, actions, witnesses)


def _witnesses_of(request: Request) -> list[tuple[str, str]]:
    """Return what is asked of witnesses: the kind and the region of each."""
    updates: list[Wire] = request.get(WITNESSES) or []
    if len(updates) > 1:
        raise ValidationException(
            f"1 validation error detected: Value '{updates}' at 'globalTableWitnessUpdates' failed to"
            " satisfy constraint: Member must have length less than or equal to 1"
        )
    found: list[tuple[str, str]] = []
    for update in updates:
        if len(update) != 1:
            raise ValidationException(
                "There are no actions specified in the Witness Update Action of the request."
            )
        [(kind, given)] = update.items()
        found.append((kind, given["RegionName"]))
    return found


def _creation(
    scope: Scope,
    table: TableRecord,
    request: Request,
    actions: list[replicas.Action],
    witnesses: list[tuple[str, str]],
) -> Change:
    """Return what replicas a table is to have that has none."""
    if request.get(CONSISTENCY) != STRONG:
        raise ValidationException(
            f"{CONSISTENCY} must be set as {STRONG} when {WITNESSES} parameter is present."
        )
    if any(action.kind != "Create" for action in actions):
        raise ValidationException(
            f"Only Replica Create actions are supported when {CONSISTENCY} parameter is provided."
        )
    if 1 + len(actions) + len(witnesses) != REGIONS:
        raise ValidationException(f"Unsupported replica count{_SET}.")
    if table.replicas:
        raise ValidationException(
            f"{CONSISTENCY} parameter is unsupported on existing global table"
        )
    _require_placed(scope, [action.region for action in actions], witnesses)
    for action in actions:
        for member in sorted(set(action.given) - {"RegionName"}):
            raise NotBuilt.member("dynamodb", "UpdateTable", f"{replicas.MEMBER}.Create.{member}")
    regions = tuple(action.region for action in actions)
    return Change("Create", regions, "".join(region for _, region in witnesses))


def _require_placed(scope: Scope, regions: list[str], witnesses: list[tuple[str, str]]) -> None:
    """Refuse new replicas and a witness that are not each in a region of its own."""
    for kind, region in witnesses:
        if kind != "Create":
            raise _no_witness(region)
        if region == scope.region:
            raise ValidationException(
                "Cannot add a witness in the same region as an existing replica when creating a"
                " global table with MultiRegionConsistency set to STRONG."
            )
        replicas.require_region(scope, region)
    everywhere = [*regions, *(region for _, region in witnesses)]
    if len(set(everywhere)) != len(everywhere):
        raise ValidationException("Cannot target multiple regions with the same action")


def _deletion(
    strong: StrongRecord,
    request: Request,
    actions: list[replicas.Action],
    witnesses: list[tuple[str, str]],
) -> Change:
    """Return which replicas go: all others together, with the witness."""
    _require_frozen({action.kind for action in actions}, request)
    for kind, region in witnesses:
        if kind != "Delete" or region != strong.witness:
            raise _no_witness(region)
    regions = {action.region for action in actions}
    unknown = sorted(regions - {each.region for each in strong.replicas})
    if unknown:
        raise replicas.not_part(unknown)
    if strong.witness and not witnesses:
        raise ValidationException("Update table delete operation does not include all witnesses.")
    if len(regions) < len(strong.replicas) - 1:
        raise ValidationException(_ONE)
    return Change("Delete", tuple(regions), strong.witness)


def _require_frozen(kinds: set[str], request: Request) -> None:
    """Refuse what is asked of the replicas of such a table but that they go."""
    given = request.get(CONSISTENCY)
    if given == STRONG and kinds == {"Create"}:
        raise ValidationException(f"Unsupported replica count{_SET}.")
    if given == STRONG:
        raise ValidationException(
            f"Only Replica Create actions are supported when {CONSISTENCY} parameter is provided."
        )
    if given is not None:
        raise ValidationException(
            f"{CONSISTENCY} parameter is unsupported on existing global table"
        )
    if kinds == {"Create"}:
        raise ValidationException(
            "Cannot add replicas to a global table with strong MultiRegionConsistency"
        )
    if kinds == {"Update"}:
        raise NotBuilt.member("dynamodb", "UpdateTable", f"{replicas.MEMBER}.Update")
    if kinds != {"Delete"}:
        raise ValidationException(replicas.ONE_KIND)


def _no_witness(region: str) -> ValidationException:
    """Return the error for a witness that the global table has not."""
    return ValidationException(
        "Update global table operation failed because one or more witnesses were not part of the"
        f" global table. Please retry the request without these witnesses: [{region}]."
    )


def require_home(table: TableRecord, region: str) -> None:
    """Refuse what is built where a strongly consistent table was made, and nowhere else yet."""
    if not is_at_home(table, region):
        raise elsewhere()


def require_replica(table: TableRecord, region: str) -> None:
    """Refuse a table that is at the home of another that a statement names too, and is not meant."""
    known = table.strong
    if known is None or all(each.region != region for each in known.replicas):
        raise several()


def several() -> NotBuilt:
    """Return the error for what reads tables at one moment whose items lie in several regions."""
    return NotBuilt(
        "fogbank has not built statements over several tables of which one is a replica of a strongly"
        " consistent global table that was made in another region"
    )


def elsewhere() -> NotBuilt:
    """Return the error for what is asked in another region than that of the home."""
    return NotBuilt(
        "fogbank has not built this for replicas of a strongly consistent global table outside of the"
        " region in which it was made"
    )


def is_at_home(table: TableRecord, region: str) -> bool:
    """Return whether the items of a table lie in its own region."""
    return table.strong is None or table.strong.home == region


def require_convertible(table: TableRecord) -> None:
    """Refuse to make a table strongly consistent that has what such tables cannot have.

    AWS: no time to live and no local secondary index; the words are ours. A key of KMS is not built.
    """
    if table.sse is not None:
        raise NotBuilt.member("dynamodb", "UpdateTable", f"{CONSISTENCY} of an encrypted table")
    if table.ttl_attribute:
        raise ValidationException(TIME_TO_LIVE)
    if any(index.is_local for index in table.indexes):
        raise ValidationException(f"Local secondary indexes are not supported{_SET}")


def not_empty() -> ValidationException:
    """Return the error for a table that has items; AWS: it "must be empty", the words are ours."""
    return ValidationException(f"Table must be empty to be converted to a replica{_SET}")


def require_transactional(table: TableRecord) -> None:
    """Refuse a transaction on a strongly consistent table.

    Raises:
        ValidationException: It is one.
    """
    if table.strong is not None:
        raise ValidationException(TRANSACTIONS)


def require_lasting(table: TableRecord) -> None:
    """Refuse a time to live of a strongly consistent table.

    Raises:
        ValidationException: It is one.
    """
    if table.strong is not None:
        raise ValidationException(TIME_TO_LIVE)


def require_deletable(table: TableRecord) -> None:
    """Refuse to delete one replica alone."""
    if table.strong is not None:
        raise ValidationException(_ONE)


def is_changed_at_home(table: TableRecord, request: Request, region: str) -> bool:
    """Return whether what an UpdateTable request changes is kept in another region.

    Raises:
        NotBuilt: It changes what is not built there.
        ResourceInUseException: Replicas come or go.
    """
    if not is_settled(table):
        raise replicas.in_use()
    if table.strong is not None and "SSESpecification" in request:
        raise NotBuilt.member("dynamodb", "UpdateTable", "SSESpecification")
    if is_at_home(table, region):
        return False
    return not {"TableName", PROTECTION}.issuperset(request)


def is_of_one(found: TableRecord, table: TableRecord) -> bool:
    """Return whether two tables are replicas of one global table."""
    if found.strong is not None and table.strong is not None:
        return found.strong.id == table.strong.id
    return bool(table.group) and found.group == table.group


def told_status(table: TableRecord) -> str:
    """Return the status of a table, whose replicas may be coming and going."""
    if table.status == ACTIVE and not is_settled(table):
        return "UPDATING"
    return replicas.status_of(table)


# What becomes of one.


def begun(table: TableRecord, change: Change, region: str, now_ms: int) -> TableRecord:
    """Return a table that becomes the home of a strongly consistent one."""
    others = (
        ReplicaRecord(region=each, status=CREATING, source=region, since_ms=now_ms)
        for each in change.regions
    )
    strong = StrongRecord(
        id=table.id,
        home=region,
        replicas=(ReplicaRecord(region=region, status=ACTIVE), *others),
        witness=change.witness,
        witness_status=CREATING if change.witness else "",
    )
    return msgspec.structs.replace(table, strong=strong)


def with_statuses(table: TableRecord, status: str) -> TableRecord:
    """Return the table at home with another status of all other replicas and of the witness."""
    strong = table.strong
    assert strong is not None, "it is one of several"
    return msgspec.structs.replace(
        table,
        strong=msgspec.structs.replace(
            strong,
            replicas=tuple(
                each if each.region == strong.home else msgspec.structs.replace(each, status=status)
                for each in strong.replicas
            ),
            witness_status=status if strong.witness else "",
        ),
    )


def others_of(strong: StrongRecord) -> list[ReplicaRecord]:
    """Return the replicas whose items lie elsewhere."""
    return [each for each in strong.replicas if each.region != strong.home]


def status_of(strong: StrongRecord) -> str:
    """Return the status of all other replicas: they come and go together."""
    [*statuses] = {each.status for each in others_of(strong)}
    assert len(statuses) == 1, "they come and go together"
    return statuses[0]


def member_of(
    home: TableRecord, region: str, *, table_id: str, digest_key: bytes, now_ms: int
) -> TableRecord:
    """Return the table of another replica, new: with the definitions of that at home.

    Args:
        home: The table at home.
        region: That of the replica.
        table_id: A new id.
        digest_key: A new secret, under which nothing lies.
        now_ms: The time.
    """
    made = msgspec.structs.replace(
        home,
        id=table_id,
        digest_key=digest_key,
        created_ms=now_ms,
        deletion_protected=False,
        has_policy=False,
        policy_ms=0,
    )
    return refreshed(made, home, region)


def seen_in(home: TableRecord, region: str) -> TableRecord:
    """Return the table at home with what the replica of a region has for itself.

    AWS: streams, recovery and contributor insights are never synchronised in this mode (Developer
    Guide, "Settings synchronization").
    """
    assert home.strong is not None, "it is one of several"
    if region == home.strong.home:
        return home
    told = home.strong.streams.get(region)
    view, created_ms = ("", 0) if told is None else (told.view, told.created_ms)
    kept = home.strong.recoveries.get(region, _NO_RECOVERY)
    return msgspec.structs.replace(
        watched_in(home, region),
        stream_view=view,
        stream_ms=created_ms,
        recovery_ms=kept.since_ms,
        recovery_days=kept.days,
    )


def watched_in(home: TableRecord, region: str) -> TableRecord:
    """Return the table at home with the insights of the replica of a region.

    AWS: they are "only reported for the Region in which an operation occurred" (Developer Guide, "How
    DynamoDB global tables work", of strong consistency).
    """
    assert home.strong is not None, "it is one of several"
    if region == home.strong.home:
        return home
    counted = home.strong.insights.get(region, {})
    if not counted and not home.is_watched:
        return home
    return _with_insights(home, counted)


def _with_insights(table: TableRecord, counted: Mapping[int, InsightsRecord]) -> TableRecord:
    """Return a table with other insights of it and of its indexes, by their numbers."""
    indexes = tuple(
        msgspec.structs.replace(each, insights=counted.get(each.number, NO_INSIGHTS))
        for each in table.indexes
    )
    own = counted.get(_THE_TABLE, NO_INSIGHTS)
    watched = bool(own.mode) or any(each.insights.mode for each in indexes)
    return msgspec.structs.replace(table, insights=own, indexes=indexes, is_watched=watched)


def _insights_in(table: TableRecord) -> dict[int, InsightsRecord]:
    """Return the insights of a table and of its indexes, by their numbers; those that say anything."""
    found = {each.number: each.insights for each in table.indexes}
    found[_THE_TABLE] = table.insights
    return {number: each for number, each in found.items() if each != NO_INSIGHTS}


def put_back(home: TableRecord, seen: TableRecord) -> TableRecord:
    """Return a table that was changed as a region sees it, with what home has for itself.

    Args:
        home: The table at home, before.
        seen: The table as it was changed, which knows what the region has for itself.
    """
    return msgspec.structs.replace(
        _with_insights(seen, _insights_in(home)),
        stream_view=home.stream_view,
        stream_ms=home.stream_ms,
        deletion_protected=home.deletion_protected,
        recovery_ms=home.recovery_ms,
        recovery_days=home.recovery_days,
    )


def with_insights(home: TableRecord, region: str, seen: TableRecord) -> TableRecord:
    """Return the table at home with the insights that the replica of a region is to have."""
    assert home.strong is not None, "it is one of several"
    insights = {**home.strong.insights, region: _insights_in(seen)}
    return msgspec.structs.replace(
        home, strong=msgspec.structs.replace(home.strong, insights=insights)
    )


def with_stream(home: TableRecord, region: str, told: ReplicaStreamRecord) -> TableRecord:
    """Return the table at home with another stream of the replica of a region."""
    assert home.strong is not None, "it is one of several"
    streams = {**home.strong.streams, region: told}
    return msgspec.structs.replace(
        home, strong=msgspec.structs.replace(home.strong, streams=streams)
    )


def with_recovery(home: TableRecord, region: str, seen: TableRecord) -> TableRecord:
    """Return the table at home with the recovery that the replica of a region is to have."""
    assert home.strong is not None, "it is one of several"
    told = ReplicaRecoveryRecord(since_ms=seen.recovery_ms, days=seen.recovery_days)
    recoveries = {**home.strong.recoveries, region: told}
    return msgspec.structs.replace(
        home, strong=msgspec.structs.replace(home.strong, recoveries=recoveries)
    )


def tellings(home: TableRecord) -> Iterator[TableRecord]:
    """Yield the table at home as each open stream of another replica is told of its changes."""
    if home.strong is None:
        return
    for told in home.strong.streams.values():
        if told.view:
            yield msgspec.structs.replace(
                home, id=told.log, stream_view=told.view, stream_ms=told.created_ms
            )


def refreshed(member: TableRecord, home: TableRecord, region: str) -> TableRecord:
    """Return the table of another replica with the definitions of that at home as they are now."""
    return msgspec.structs.replace(
        seen_in(home, region),
        id=member.id,
        digest_key=member.digest_key,
        created_ms=member.created_ms,
        deletion_protected=member.deletion_protected,
        has_policy=member.has_policy,
        policy_ms=member.policy_ms,
        status=CREATING if _is_coming(home) else ACTIVE,
        history_ms=0,
    )


def _is_coming(home: TableRecord) -> bool:
    """Return whether the other replicas are being made."""
    return home.strong is not None and status_of(home.strong) == CREATING


def members_of(scope: Scope, table: TableRecord) -> shapes.TableDescription:
    """Return what the description of a strongly consistent table says of its regions."""
    strong = table.strong
    if strong is None:
        return {}
    told: shapes.TableDescription = {
        "GlobalTableVersion": replicas.VERSION,
        "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
        CONSISTENCY: STRONG,
        "Replicas": [
            {
                "RegionName": each.region,
                "ReplicaStatus": each.status,
                "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
            }
            for each in strong.replicas
            if each.region != scope.region
        ],
    }
    if strong.witness:
        told["GlobalTableWitnesses"] = [
            {"RegionName": strong.witness, "WitnessStatus": strong.witness_status}
        ]
    return told


def is_settled(table: TableRecord) -> bool:
    """Return whether no replica of a strongly consistent table is coming or going."""
    return table.strong is None or status_of(table.strong) == ACTIVE


def is_leaving(table: TableRecord) -> bool:
    """Return whether the other replicas go."""
    return table.strong is not None and status_of(table.strong) == DELETING
