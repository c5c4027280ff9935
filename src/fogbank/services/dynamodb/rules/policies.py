"""Policies of tables and streams: what may be put, and in which words another is refused.

A policy of a table speaks of its indexes too; a stream has one of its own.

Source: Amazon DynamoDB Developer Guide, "Using resource-based policies for DynamoDB" and its pages;
the words of refusals and their order are answers of AWS (ack-api-quirks, DDB-TABLE-207, -210, -211,
-212, -213, -356) and of moto's tests that were held against AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fogbank.base.types import Request
from fogbank.contract.action import Access, AccessOf, Scope
from fogbank.platform.iam import document as documents
from fogbank.platform.iam import public
from fogbank.platform.iam.document import RawPolicy, RawStatement
from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.policy import Policy
from fogbank.platform.iam.request import AccessRequest, Caller, ContextValue
from fogbank.platform.iam.wildcards import pattern_matcher
from fogbank.services.dynamodb.errors import (
    AccessDeniedException,
    PolicyNotFoundException,
    ValidationException,
)
from fogbank.services.dynamodb.quotas import POLICY_BYTES_MAX
from fogbank.services.dynamodb.rules.names import NOT_THE_OWNER
from fogbank.services.dynamodb.rules.resources import Resource, find_resource, require_resource
from fogbank.services.dynamodb.schema import StreamRecord, TableRecord

PUT: Final = "dynamodb:PutResourcePolicy"
DELETE: Final = "dynamodb:DeleteResourcePolicy"
NO_POLICY: Final = "NO_POLICY"
"""``ExpectedRevisionId`` of who expects that there is none."""
_INVALID: Final = "One or more parameter values were invalid: "
_DOCUMENT: Final = f"{_INVALID}Invalid policy document: "
_NOT_FOUND: Final = "Resource-based policy not found for the provided ResourceArn: "
_UNBOUNDED: Final = (
    "Resource-based policy grants unbounded access in one or more elements. Please revise the policy"
    " to ensure least-privilege form of access"
)
_ARN_PARTS: Final = 6
_TRUSTED_KEYS: Final = frozenset(
    {
        *("aws:principalaccount", "aws:principalarn", "aws:principalorgid"),
        *("aws:principalorgpaths", "aws:sourceaccount", "aws:sourcearn", "aws:sourcevpc"),
        *("aws:sourcevpce", "aws:userid", "aws:principalservicename"),
        *("aws:principalservicenameslist", "aws:principalisawsservice"),
        *("aws:ec2instancesourcevpc", "aws:sourceorgid", "aws:sourceorgpaths"),
    }
)
"""AWS: the keys by which a statement may name whom it trusts ("Blocking public access")."""
_OF_STREAMS: Final = ("DescribeStream", "GetRecords", "GetShardIterator")
_OF_BOTH: Final = ("DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy")
_OF_ITEMS: Final = (
    *("BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem", "GetItem", "PutItem"),
    *("Query", "Scan", "UpdateItem", "PartiQLDelete", "PartiQLInsert", "PartiQLSelect"),
    *("PartiQLUpdate", "SearchVectors"),
)
_OF_TABLES: Final = (
    *(*_OF_ITEMS, "DeleteTable", "DescribeTable", "UpdateTable", "ListTagsOfResource"),
    *("TagResource", "UntagResource", "CreateBackup", "DescribeContinuousBackups"),
    *("RestoreTableToPointInTime", "UpdateContinuousBackups", "DescribeContributorInsights"),
    *("UpdateContributorInsights", "ExportTableToPointInTime", "DescribeTimeToLive"),
    *("UpdateTimeToLive", "DescribeKinesisStreamingDestination"),
    *("DisableKinesisStreamingDestination", "EnableKinesisStreamingDestination"),
    *("UpdateKinesisStreamingDestination", "DescribeTableReplicaAutoScaling"),
    *("UpdateTableReplicaAutoScaling", "AssociateTableReplica", "CreateTableReplica"),
    *("DeleteTableReplica", "ReadDataForReplication", "ReplicateSettings"),
    "WriteDataForReplication",
)
"""AWS: "DynamoDB API operations supported by resource-based policies", and of vector indexes, of which
that page does not speak yet, the one that reads them."""

CONFIRMING: Final = frozenset(f"dynamodb:{action}" for action in (*_OF_ITEMS, *_OF_STREAMS))
"""Actions whose operations confirm what was presumed of a table or stream, in their transactions
(``state.tables.require_table``, ``state.streams.require_stream``); of others nothing is presumed."""


def on_own_resource(action: str) -> AccessOf:
    """Return the access of an operation on the policy of a resource, which other accounts never have.

    AWS: an account that does not own the resource hears that, whatever the resource says of it
    (DDB-TABLE-212); who may do such a thing nowhere hears that first.
    """

    def access(scope: Scope, request: Request) -> list[Access]:
        arn: str = request["ResourceArn"]
        found = find_resource(arn)
        if found is not None and found.is_owned and found.account != scope.account:
            arn = arn.replace(f":{found.account}:", f":{scope.account}:", 1)
        return [Access(action, arn)]

    return access


def resource_of(scope: Scope, request: Request) -> Resource:
    """Return the table or stream of the caller's account whose policy a request is about.

    Raises:
        ValidationException: It names none, or one of another account or region.
    """
    found = require_resource(scope, request["ResourceArn"], f"{_INVALID}Invalid resource Arn: ")
    if found.account != scope.account:
        raise ValidationException(NOT_THE_OWNER)
    return found


def raw_of(document: str, *, of_stream: bool) -> RawPolicy:
    """Return the statements of a document that may be the policy of a table or of a stream.

    Raises:
        ValidationException: It is too long, is no policy, or lets in whoever comes.
    """
    if len(document.encode()) > POLICY_BYTES_MAX:
        raise ValidationException(
            f"{_INVALID}Maximum policy size of {POLICY_BYTES_MAX} bytes exceeded"
        )
    loaded = _loaded(document)
    if loaded.get("Statement") == []:
        raise ValidationException(f"{_DOCUMENT}Could not parse the policy: Statement is empty!")
    try:
        raw = documents.parse(document)
        documents.check(raw, "resource")
    except MalformedPolicy as error:
        raise ValidationException(f"{_DOCUMENT}{error.message}") from None
    sids = [statement.sid for statement in raw.statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise ValidationException(f"{_DOCUMENT}The Statement Ids in the policy are not unique")
    for statement in raw.statements:
        _check_actions(statement, _OF_STREAMS if of_stream else _OF_TABLES)
        _check_resources(statement, of_stream=of_stream)
    if public.is_public(raw, _TRUSTED_KEYS):
        raise ValidationException(_UNBOUNDED)
    return raw


def _loaded(document: str) -> Mapping[str, Any]:
    """Return the JSON object that a document is."""
    try:
        loaded = json.loads(document)
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        raise ValidationException(f"{_DOCUMENT}This policy contains invalid Json")
    return loaded  # pyright: ignore[reportUnknownVariableType] (JSON has names of texts)


def _check_actions(statement: RawStatement, known: Sequence[str]) -> None:
    """Refuse actions that the policy of such a resource cannot speak of."""
    names = [f"dynamodb:{name}" for name in (*known, *_OF_BOTH)]
    wrong = [action for action in statement.actions if not _matches_any(action, names)]
    if wrong:
        listed = ", ".join(f'"{action}"' for action in wrong)
        raise ValidationException(f"{_DOCUMENT}The following action names are invalid: {listed}")


def _matches_any(action: str, names: Iterable[str]) -> bool:
    """Return whether a pattern of actions is that of one of some."""
    matches = pattern_matcher(action.lower())
    return any(matches(name.lower()) for name in names)


def _check_resources(statement: RawStatement, *, of_stream: bool) -> None:
    """Refuse resources of another kind: those of a table are tables and indexes, any of them."""
    for resource in statement.resources:
        parts = resource.split(":", _ARN_PARTS - 1)
        if resource == "*":
            continue
        path = parts[-1]
        if path != "*" and (not path.startswith("table/") or ("/stream/" in path) is not of_stream):
            raise ValidationException(
                f'{_DOCUMENT}The relative-id "{path}" is invalid for ARN "{resource}"'
            )


def is_same(one: str, other: str) -> bool:
    """Return whether two documents say the same: blanks, order and single values do not count.

    AWS: putting what says the same changes nothing, its revision neither (DDB-TABLE-207).
    """
    return _canonical(documents.parse(one)) == _canonical(documents.parse(other))


def _canonical(raw: RawPolicy) -> RawPolicy:
    """Return a policy in which accounts are named by their number alone."""
    return raw._replace(
        statements=[
            each._replace(principal=_by_number(each.principal), given=frozenset())
            for each in raw.statements
        ]
    )


def _by_number(
    principal: str | dict[str, list[str]] | None,
) -> str | dict[str, list[str]] | None:
    """Return a principal whose accounts are numbers."""
    if not isinstance(principal, dict):
        return principal
    return {
        kind: [name.split(":")[4] if name.endswith(":root") else name for name in names]
        for kind, names in principal.items()
    }


def kept_text(document: str) -> str:
    """Return a document as it is kept and shown: without blanks (DDB-TABLE-211)."""
    return json.dumps(json.loads(document), separators=(",", ":"))


def check_lockout(
    caller: Caller,
    hanging: PolicySet,
    policy: Policy,
    arn: str,
    context: Mapping[str, ContextValue],
) -> None:
    """Refuse a policy under which whoever puts it could not put another.

    AWS: a denied DeleteResourcePolicy is not looked at (DDB-TABLE-210).
    """
    request = AccessRequest(caller, PUT, arn, context, caller.account)
    if not evaluate(request, hanging.with_resource(policy)).allowed:
        raise AccessDeniedException(
            "The new resource policy will not allow you to update the resource policy in the future."
        )


def token_of(resource: TableRecord | StreamRecord) -> object:
    """Return what a decision on a resource was made with: it is another after any change."""
    identity = resource.id if isinstance(resource, TableRecord) else resource.created_ms
    return identity, resource.policy_ms if resource.has_policy else 0


def next_revision_ms(resource: TableRecord | StreamRecord, now_ms: int) -> int:
    """Return the revision of a new policy of a resource: now, but later than any before."""
    return max(now_ms, resource.policy_ms + 1)


def revision_of(resource: TableRecord | StreamRecord) -> str:
    """Return the ``RevisionId`` of the policy of a resource."""
    return str(resource.policy_ms)


def require_revision(resource: TableRecord | StreamRecord, name: str, request: Request) -> None:
    """Refuse to change another policy than the request expects.

    Raises:
        PolicyNotFoundException: There is another, or none, or one where none is expected.
    """
    expected: str | None = request.get("ExpectedRevisionId")
    if expected is None:
        return
    if not resource.has_policy:
        if expected == NO_POLICY:
            return
        raise PolicyNotFoundException(
            f"{_NOT_FOUND}Requested update for policy with revision id {expected},"
            f" but no policy is associated to target table {name}."
        )
    revision = revision_of(resource)
    if expected == NO_POLICY:
        raise PolicyNotFoundException(
            f"{_NOT_FOUND}Requested policy update expecting none to be present for table {name},"
            f" but a policy exists with revision id {revision}."
        )
    if expected != revision:
        raise PolicyNotFoundException(
            f"{_NOT_FOUND}Requested update for policy with revision id {expected}, but the policy"
            f" associated to target table {name} has revision id {revision}."
        )


def not_found(arn: str) -> PolicyNotFoundException:
    """Return the error that a resource has no policy."""
    return PolicyNotFoundException(f"{_NOT_FOUND}{arn}")


def invalid_principal() -> ValidationException:
    """Return the error for a policy that names nobody."""
    return ValidationException(f"{_INVALID}Invalid principal in policy document.")
