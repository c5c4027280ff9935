"""Function policies: statements as AddPermission makes them.

Source: API Reference, AddPermission; statements recorded by LocalStack's validated
``TestLambdaPermissions``.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from fogbank.base.arn import global_arn
from fogbank.base.errors import NotBuilt
from fogbank.base.types import Request
from fogbank.platform.iam import document as documents
from fogbank.platform.iam import public
from fogbank.platform.iam.bound import Bound, BoundPolicy
from fogbank.platform.iam.evaluate import NO_POLICIES, evaluate
from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.context import context_of
from fogbank.platform.identity.principal import Principal
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    PublicPolicyException,
    ResourceConflictException,
    ResourceNotFoundException,
)

INVOKE: Final = "lambda:InvokeFunction"
INVOKE_URL: Final = "lambda:InvokeFunctionUrl"
INVALID_PRINCIPAL: Final = (
    "The provided principal was invalid. Please check the principal and try again."
)
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.(amazonaws\.com(\.cn)?|amazon\.com)")
_ROOT: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root", re.ASCII)
_ENTITY: Final = re.compile(
    r"arn:aws[a-z-]*:(iam::\d{12}:(root|user/.+|role/.+)|sts::\d{12}:assumed-role/.+)", re.ASCII
)
_TRUSTED_KEYS: Final = frozenset(
    {
        *("aws:principalaccount", "aws:principalarn", "aws:principalorgid"),
        *("aws:principalorgpaths", "aws:sourceaccount", "aws:sourcearn", "aws:sourcevpc"),
        *("aws:sourcevpce", "aws:userid", "aws:principalservicename", "aws:sourceorgid"),
        *("aws:principalservicenameslist", "aws:principalisawsservice", "aws:sourceorgpaths"),
        "lambda:functionurlauthtype",
    }
)
"""By which a statement may name whom it trusts; a URL of a function may be open, as AddPermission has it.
The list is that of DynamoDB's and S3's pages on public access: Lambda's page names none."""

ORGANIZATION: Final = "aws:PrincipalOrgID"
_MUST_EQUAL: Final = (
    ("SourceAccount", "AWS:SourceAccount"),
    ("PrincipalOrgID", ORGANIZATION),
    ("EventSourceToken", "lambda:EventSourceToken"),
)
"""The condition keys of members of AddPermission, as statements spell them (Developer Guide, "Granting
function access to an organization"). Nobody here is of an organization, and nothing that invokes functions
has a token: such statements let nobody in, as on AWS."""

Statement = dict[str, Any]


def principal_of(text: str, partition: str) -> str | dict[str, str]:
    """Return the Principal element for what a request names, in a partition."""
    if text == "*":
        return "*"
    if _ACCOUNT.fullmatch(text):
        return {"AWS": global_arn(partition, "iam", text, "root")}
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    if _ENTITY.fullmatch(text):
        return {"AWS": text}
    raise InvalidParameterValueException(INVALID_PRINCIPAL)


def named_principals(statement: Statement) -> str | tuple[str, ...]:
    """Return what a request has named to get the Principal element of a statement; all, if several."""
    element: str | dict[str, str | list[str]] = statement.get("Principal", {})
    said = [element] if isinstance(element, str) else element.values()
    texts = [name for names in said for name in ([names] if isinstance(names, str) else names)]
    roots = ((text, _ROOT.fullmatch(text)) for text in texts)
    named = tuple(text if account is None else account[1] for text, account in roots)
    return named[0] if len(named) == 1 else named


def statement_of(request: Request, function_arn: str) -> Statement:
    """Return the statement that AddPermission asks for."""
    statement: Statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": principal_of(request["Principal"], function_arn.split(":")[1]),
        "Action": request["Action"],
        "Resource": function_arn,
    }
    condition: dict[str, dict[str, str]] = {}
    if kind := request.get("FunctionUrlAuthType"):
        _check_meant(request, INVOKE_URL, "FunctionUrlAuthType")
        condition["StringEquals"] = {"lambda:FunctionUrlAuthType": kind}
    if request.get("InvokedViaFunctionUrl") is not None:
        _check_meant(request, INVOKE, "InvokedViaFunctionUrl")
        via = "true" if request["InvokedViaFunctionUrl"] else "false"
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": via}
    equal = {key: request[member] for member, key in _MUST_EQUAL if request.get(member)}
    if equal:
        condition["StringEquals"] = {**condition.get("StringEquals", {}), **equal}
    if arn := request.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": arn}
    if condition:
        statement["Condition"] = condition
    return statement


def _check_meant(request: Request, action: str, member: str) -> None:
    """Refuse a condition on function URLs with an action that knows none.

    AWS: in these words for FunctionUrlAuthType (recorded in LocalStack's ``add_permission``).
    """
    if request["Action"] != action:
        raise InvalidParameterValueException(f"{member} is only supported for {action} action")


def text_of(value: Any) -> str:
    """Return JSON as Lambda writes it."""
    return json.dumps(value, separators=(",", ":"))


def statements_of(document: str | None) -> list[Statement]:
    """Return the statements of a policy document, none if there is none."""
    if document is None:
        return []
    statements: list[Statement] | Statement = json.loads(document)["Statement"]
    return statements if isinstance(statements, list) else [statements]


def document_of(statement: Statement) -> str:
    """Return a policy document of one statement."""
    return _document(statement)


def with_statement(policy: BoundPolicy | None, statement: Statement, bound: Bound) -> BoundPolicy:
    """Return a policy with one more statement.

    Args:
        policy: What there is already.
        statement: As ``statement_of`` makes it.
        bound: Whom the statement names.
    """
    document, before = policy or (None, ())
    statements = statements_of(document)
    sid = statement["Sid"]
    if any(each.get("Sid") == sid for each in statements):
        raise ResourceConflictException(
            f"The statement id ({sid}) provided already exists. Please provide a new statement "
            "id, or remove the existing statement."
        )
    text = _with(document, [*statements, statement])
    if len(text) > quotas.POLICY_BYTES_MAX:
        raise PolicyLengthExceededException(
            f"The final policy size ({len(text)}) is bigger than the limit "
            f"({quotas.POLICY_BYTES_MAX})."
        )
    return BoundPolicy(text, (*before, *bound))


def without_statement(policy: BoundPolicy | None, sid: str) -> BoundPolicy | None:
    """Return a policy without a statement, or None if it was the last."""
    if policy is None:
        raise no_policy()
    statements = statements_of(policy.document)
    left = [each for each in statements if each.get("Sid") != sid]
    if len(left) == len(statements):
        raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
    bound = tuple(name for name in policy.bound if name.sid != sid)
    return BoundPolicy(_with(policy.document, left), bound) if left else None


def no_policy() -> ResourceNotFoundException:
    """Return the error that a resource has no policy."""
    return ResourceNotFoundException("No policy is associated with the given resource.")


def _document(*statements: Statement) -> str:
    """Return a policy document."""
    return text_of({"Version": "2012-10-17", "Id": "default", "Statement": statements})


def _with(document: str | None, statements: list[Statement]) -> str:
    """Return a policy document with other statements."""
    if document is None:
        return _document(*statements)
    return text_of({**json.loads(document), "Statement": statements})


def whole_of(text: str) -> str:
    """Return a policy document that may take the place of all that AddPermission wrote, as it is kept.

    A statement that denies is refused as not built: what a function's policy says is looked at only
    where the policies of the caller do not let him in.

    Raises:
        InvalidParameterValueException: It is no policy.
        NotBuilt: A statement denies.
        PublicPolicyException: It lets in whoever comes.
    """
    try:
        raw = documents.parse(text)
        documents.check(raw, "resource")
    except MalformedPolicy as error:
        raise InvalidParameterValueException(error.message) from None
    sids = [statement.sid for statement in raw.statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise InvalidParameterValueException(
            "Statement IDs (SID) in a single policy must be unique."
        )
    if any(statement.effect == "Deny" for statement in raw.statements):
        raise NotBuilt("fogbank has not built statements that deny in policies of functions")
    if public.is_public(raw, _TRUSTED_KEYS):
        raise PublicPolicyException(
            "The resource-based policy you tried to add to the Lambda resource would grant public"
            " access to it, which isn't allowed."
        )
    return text_of(json.loads(text))


def joined(own: BoundPolicy | None, whole: BoundPolicy | None) -> BoundPolicy | None:
    """Return the policy of a version or an alias with that of its function, where that speaks of it.

    AWS: a wildcard in the resource of a statement means versions and aliases too.
    """
    said = statements_of(None if whole is None else whole.document)
    wide = [each for each in said if "*" in text_of(each.get("Resource", ""))]
    if whole is None or not wide:
        return own
    if own is None:
        return BoundPolicy(_with(whole.document, wide), whole.bound)
    together = [*statements_of(own.document), *(_without_sid(each) for each in wide)]
    return BoundPolicy(_with(own.document, together), (*own.bound, *_of_no_sid(whole, wide)))


def _without_sid(statement: Statement) -> Statement:
    """Return a statement that has no name, for another policy may use the name."""
    return {name: value for name, value in statement.items() if name != "Sid"}


def _of_no_sid(policy: BoundPolicy, statements: list[Statement]) -> Bound:
    """Return whom statements mean, when they have lost their names."""
    sids = {"", *(each.get("Sid", "") for each in statements)}
    return tuple(name._replace(sid="") for name in policy.bound if name.sid in sids)


def allows_invoke(policy: BoundPolicy | None, caller: Principal, function_arn: str) -> bool:
    """Return whether a function's policy lets a service invoke it."""
    request = AccessRequest(caller, INVOKE, function_arn, context_of(caller))
    if policy is None:
        return evaluate(request, NO_POLICIES).allowed
    compiled = compile_policy(policy.document, kind="resource", bound=policy.bound)
    return evaluate(request, NO_POLICIES.with_resource(compiled)).allowed
