"""The form of a policy document: JSON, its elements, and the words in which AWS refuses it.

Rule: what this module lets through has the shape of ``RawStatement``; nothing is skipped, an
element that is not known is a syntax error. Source: IAM User Guide, "Grammar of the IAM JSON
policy language".

AWS checks in stages, and a document with two faults gets the message of the earlier stage: syntax,
version, "legacy parsing" (dates, resources of five parts, the case of Effect), statement ids,
actions, resources. The order and the messages are those that moto's tests recorded from AWS
(``tests/test_iam/test_iam_policies.py`` there); ours hold them as a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, Literal, NamedTuple, cast

from fogbank.base.arn import PARTITIONS
from fogbank.platform.iam.conditions import is_operator
from fogbank.platform.iam.malformed import MalformedPolicy

Kind = Literal["identity", "resource", "trust", "session"]

VERSIONS: Final = ("2008-10-17", "2012-10-17")
DOCUMENT_CHARACTERS_MAX: Final = 131_072
"""The longest document any operation takes (the model's limit)."""
_SYNTAX: Final = "Syntax errors in policy."
_DOCUMENT_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS: Final = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
        *("Resource", "NotResource", "Condition"),
    }
)
_PRINCIPAL_KINDS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_ALTERNATIVES: Final = (
    ("Principal", "NotPrincipal"),
    ("Action", "NotAction"),
    ("Resource", "NotResource"),
)


class RawStatement(NamedTuple):
    """One statement in its one form: lists where one value or a list may stand."""

    sid: str
    effect: str
    principal: str | dict[str, list[str]] | None
    principal_negated: bool
    actions: list[str]
    actions_negated: bool
    resources: list[str]
    resources_negated: bool
    conditions: dict[str, dict[str, list[str]]]
    given: frozenset[str]
    """The elements that stood in the statement."""


class RawPolicy(NamedTuple):
    """A document whose syntax holds."""

    version: str
    """Empty if none was given: 2008-10-17 by meaning."""
    statements: list[RawStatement]


def parse(document: str | dict[str, Any]) -> RawPolicy:
    """Return the statements of a document whose syntax holds.

    Raises:
        MalformedPolicy: With AWS's message for the first fault of syntax.
    """
    loaded = _object(_load(document) if isinstance(document, str) else document)
    if not _DOCUMENT_ELEMENTS.issuperset(loaded):
        raise MalformedPolicy(_SYNTAX)
    version = loaded.get("Version", "")
    if version not in ("", *VERSIONS) or not isinstance(loaded.get("Id", ""), str):
        raise MalformedPolicy(_SYNTAX)
    given = loaded.get("Statement")
    statements = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not statements:
        raise MalformedPolicy(_SYNTAX)
    return RawPolicy(version, [_statement_of(one) for one in statements])


def _object(value: Any) -> dict[str, Any]:
    """Return a JSON object, or refuse what is none."""
    if not isinstance(value, dict):
        raise MalformedPolicy(_SYNTAX)
    return cast("dict[str, Any]", value)


def _load(text: str) -> Any:
    """Return the JSON value of a text: no doubled keys, no numbers that are none."""
    if len(text) > DOCUMENT_CHARACTERS_MAX:
        raise MalformedPolicy(_SYNTAX)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MalformedPolicy(_SYNTAX) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; a doubled key would let a reader and the evaluator differ."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice")
    return members


def _no_constant(name: str) -> None:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise ValueError(name)


def _statement_of(raw: Any) -> RawStatement:
    """Return a statement in its one form."""
    given = _object(raw)
    if not _STATEMENT_ELEMENTS.issuperset(given):
        raise MalformedPolicy(_SYNTAX)
    if any(one in given and other in given for one, other in _ALTERNATIVES):
        raise MalformedPolicy(_SYNTAX)
    sid, effect = given.get("Sid", ""), given.get("Effect")
    if not isinstance(sid, str) or not isinstance(effect, str):
        raise MalformedPolicy(_SYNTAX)
    if effect.lower() not in ("allow", "deny"):
        raise MalformedPolicy(_SYNTAX)
    return RawStatement(
        sid=sid,
        effect=effect,
        principal=_principal_of(given.get("Principal", given.get("NotPrincipal"))),
        principal_negated="NotPrincipal" in given,
        actions=_texts(given.get("Action", given.get("NotAction", []))),
        actions_negated="NotAction" in given,
        resources=_texts(given.get("Resource", given.get("NotResource", []))),
        resources_negated="NotResource" in given,
        conditions=_conditions_of(given.get("Condition", {})),
        given=frozenset(given),
    )


def _texts(value: Any) -> list[str]:
    """Return a text or a list of texts as a list."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise MalformedPolicy(_SYNTAX)
    texts = cast("list[Any]", value)
    if not all(isinstance(one, str) for one in texts):
        raise MalformedPolicy(_SYNTAX)
    return cast("list[str]", texts)


def _principal_of(value: Any) -> str | dict[str, list[str]] | None:
    """Return the principal element with lists of names."""
    if value is None or isinstance(value, str):
        return value
    kinds = _object(value)
    if not kinds or not _PRINCIPAL_KINDS.issuperset(kinds):
        raise MalformedPolicy(_SYNTAX)
    return {kind: _texts(names) for kind, names in kinds.items()}


def _conditions_of(value: Any) -> dict[str, dict[str, list[str]]]:
    """Return the condition element with lists of texts."""
    conditions: dict[str, dict[str, list[str]]] = {}
    for name, given in _object(value).items():
        keys = _object(given)
        # AWS: an operator without keys passes, whatever its name (moto's recorded cases).
        if keys and not is_operator(name):
            raise MalformedPolicy(_SYNTAX)
        conditions[name] = {key: _scalars(wanted) for key, wanted in keys.items()}
    return conditions


def _scalars(wanted: Any) -> list[str]:
    """Return one condition value or several as texts."""
    several = cast("list[Any]", wanted) if isinstance(wanted, list) else [wanted]
    return [_scalar(one) for one in several]


def _scalar(value: Any) -> str:
    """Return a condition value as text, as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise MalformedPolicy(_SYNTAX)


# The stages behind syntax.

_VENDOR: Final = re.compile(r"[a-zA-Z0-9\-.]+|\*")
"""``*:*`` says the same as ``*``; any other wildcard in a prefix is refused."""
_SID: Final = re.compile(r"[0-9A-Za-z]*")
_FIVE_PARTS: Final = 5
_SIX_PARTS: Final = 6
_IAM_RESOURCES: Final = (
    *("user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/"),
    *("server-certificate/", "policy/", "sms-mfa/", "saml-provider/", "oidc-provider/"),
    *("report/", "access-report/"),
)
_TRUST_ACTION: Final = re.compile(r"sts:[A-Za-z*?]+", re.IGNORECASE)


def require_current_version(raw: RawPolicy) -> None:
    """Refuse the older version of the language.

    Raises:
        MalformedPolicy: With AWS's message.
    """
    if raw.version != VERSIONS[-1]:
        raise MalformedPolicy("Policy document must be version 2012-10-17 or greater.")


def check(raw: RawPolicy, kind: Kind, partition: str = "") -> None:
    """Refuse what the kind of policy does not allow, in the order in which AWS does.

    Args:
        raw: The document.
        kind: Where it hangs.
        partition: The only one whose resources it may name; empty: any.

    Raises:
        MalformedPolicy: With AWS's message.
    """
    if kind == "resource":
        _check_resource_policy(raw)
        return
    if kind == "trust":
        _check_trust_policy(raw)
    for statement in raw.statements:
        _check_legacy(statement)
    sids = [statement.sid for statement in raw.statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    if not all(_SID.fullmatch(sid) for sid in sids):
        raise MalformedPolicy(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
            "regular expression [0-9A-Za-z]*"
        )
    stages: list[Stage] = [_check_actions]
    if kind != "trust":
        partitions = (partition, "*") if partition else (*PARTITIONS, "*")
        stages += [_check_no_principal, partial(_check_resources, partitions)]
    stages.append(_check_vendors)
    for stage in stages:
        for statement in raw.statements:
            stage(statement)


Stage = Callable[[RawStatement], None]


def _check_legacy(statement: RawStatement) -> None:
    """Refuse what AWS's older parser refuses."""
    fine = statement.effect in ("Allow", "Deny")
    for resource in statement.resources:
        parts = resource.split(":")
        if parts[0] == "arn" and len(parts) > 1 and parts[1] in PARTITIONS:
            short = len(parts) == _FIVE_PARTS and parts[2:4] != ["", ""]
            fine = fine and not short and parts[2:3] != [""]
    if not fine:
        raise MalformedPolicy("The policy failed legacy parsing")


def _check_actions(statement: RawStatement) -> None:
    """Require actions, each with a vendor."""
    if not statement.actions:
        raise MalformedPolicy("Policy statement must contain actions.")
    for action in statement.actions:
        if action != "*" and ":" not in action:
            raise MalformedPolicy(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
            )


def _check_no_principal(statement: RawStatement) -> None:
    """Refuse principals where the policy hangs on its principal."""
    if statement.given & {"Principal", "NotPrincipal"}:
        raise MalformedPolicy("Policy document should not specify a principal.")


def _check_resources(partitions: Collection[str], statement: RawStatement) -> None:
    """Require resources, each an ARN of one of the partitions or ``*``."""
    if not statement.resources:
        raise MalformedPolicy("Policy statement must contain resources.")
    for resource in statement.resources:
        if resource != "*":
            _check_resource(resource, partitions)


def _check_resource(resource: str, partitions: Collection[str]) -> None:
    """Refuse a resource that is no ARN."""
    first, *rest = resource.split(":", _SIX_PARTS - 1)
    if not rest:
        raise MalformedPolicy(f'Resource {resource} must be in ARN format or "*".')
    if rest[0] not in partitions:
        # AWS: the message shows the ARN as its parser completes it.
        shown = ":".join(["arn", *rest, *["*"] * (_SIX_PARTS - 1 - len(rest))])
        raise MalformedPolicy(f'Partition "{rest[0]}" is not valid for resource "{shown}".')
    if len(rest) == 1:
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    assert first is not None
    vendor, region = rest[1], rest[2] if len(rest) > 2 else ""  # noqa: PLR2004 (the parts of an ARN)
    path = rest[4] if len(rest) == _SIX_PARTS - 1 else "*"
    if vendor == "iam":
        _check_iam_resource(resource, region, path)
    # AWS: buckets and objects have no region in their ARN, access points do.
    elif vendor == "s3" and region not in ("", "*") and not path.startswith("accesspoint/"):
        raise MalformedPolicy(f"Resource {resource} can not contain region information.")


def _check_iam_resource(resource: str, region: str, path: str) -> None:
    """Refuse a resource of IAM that cannot be."""
    if region not in ("", "*"):
        raise MalformedPolicy(f"IAM resource {resource} cannot contain region information.")
    if path != "*" and not path.startswith(("*", "root", *_IAM_RESOURCES)):
        raise MalformedPolicy(
            'IAM resource path must either be "*" or start with ' + ", ".join(_IAM_RESOURCES) + "."
        )


def _check_vendors(statement: RawStatement) -> None:
    """Refuse actions whose vendor cannot be."""
    for action in statement.actions:
        vendor, _, name = action.partition(":")
        if ":" in name:
            raise MalformedPolicy("Actions/Condition can contain only one colon.")
        if action != "*" and not _VENDOR.fullmatch(vendor):
            raise MalformedPolicy(f"Vendor {vendor} is not valid")


def _check_trust_policy(raw: RawPolicy) -> None:
    """Refuse what a role's trust policy may not say."""
    for statement in raw.statements:
        if statement.given & {"Resource", "NotResource"}:
            raise MalformedPolicy("Has prohibited field Resource")
        if statement.principal is None:
            raise MalformedPolicy("Missing required field Principal")
        # AWS: NotPrincipal cannot stand in a trust policy at all.
        if statement.principal_negated:
            raise MalformedPolicy("Has prohibited field NotPrincipal")
        if statement.actions_negated or not all(
            _TRUST_ACTION.fullmatch(action) for action in statement.actions
        ):
            raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_resource_policy(raw: RawPolicy) -> None:
    """Refuse what a resource's policy may not say, in the words of S3."""
    for statement in raw.statements:
        if statement.effect not in ("Allow", "Deny"):
            raise MalformedPolicy(f"Invalid effect: {statement.effect}")
        if statement.principal is None:
            raise MalformedPolicy("Missing required field Principal")
        if not statement.actions:
            raise MalformedPolicy("Missing required field Action")
        if not statement.resources:
            raise MalformedPolicy("Missing required field Resource")
        if any(not _is_action(action) for action in statement.actions):
            raise MalformedPolicy("Policy has invalid action")
        if any(not _is_resource(resource) for resource in statement.resources):
            raise MalformedPolicy("Policy has invalid resource")


def _is_action(action: str) -> bool:
    """Tell whether an action has the form of one."""
    vendor, colon, name = action.partition(":")
    return action == "*" or bool(colon and name and _VENDOR.fullmatch(vendor) and ":" not in name)


def _is_resource(resource: str) -> bool:
    """Tell whether a resource is an ARN or ``*``."""
    parts = resource.split(":", _SIX_PARTS - 1)
    return resource == "*" or (len(parts) == _SIX_PARTS and parts[0] == "arn")


def vendors_of(statement: RawStatement) -> frozenset[str]:
    """Return the action prefixes a statement may speak of; none if it may be any."""
    if statement.actions_negated:
        return frozenset()
    vendors = frozenset(action.partition(":")[0].lower() for action in statement.actions)
    return frozenset() if "*" in vendors else vendors
