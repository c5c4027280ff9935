"""Function policies: statements as AddPermission makes them.

Source: API Reference, AddPermission; statements recorded by LocalStack's validated
``TestLambdaPermissions``.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from fogbank.base.arn import global_arn
from fogbank.base.types import Request
from fogbank.platform.iam.bound import Bound, BoundPolicy
from fogbank.platform.iam.evaluate import NO_POLICIES, evaluate
from fogbank.platform.iam.policy import compile_policy
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.context import context_of
from fogbank.platform.identity.principal import Principal
from fogbank.services.lambda_ import quotas
from fogbank.services.lambda_.errors import (
    InvalidParameterValueException,
    PolicyLengthExceededException,
    ResourceConflictException,
    ResourceNotFoundException,
)

INVOKE: Final = "lambda:InvokeFunction"
INVALID_PRINCIPAL: Final = (
    "The provided principal was invalid. Please check the principal and try again."
)
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.(amazonaws\.com(\.cn)?|amazon\.com)")
_ROOT: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root", re.ASCII)
_ENTITY: Final = re.compile(
    r"arn:aws[a-z-]*:(iam::\d{12}:(root|user/.+|role/.+)|sts::\d{12}:assumed-role/.+)", re.ASCII
)

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


def named_principal(statement: Statement) -> str:
    """Return what a request has named to get the Principal element of a statement."""
    element: str | dict[str, str] = statement["Principal"]
    [text] = [element] if isinstance(element, str) else element.values()
    account = _ROOT.fullmatch(text)
    return text if account is None else account[1]


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
    if account := request.get("SourceAccount"):
        condition["StringEquals"] = {"AWS:SourceAccount": account}
    if arn := request.get("SourceArn"):
        condition["ArnLike"] = {"AWS:SourceArn": arn}
    if condition:
        statement["Condition"] = condition
    return statement


def text_of(value: Any) -> str:
    """Return JSON as Lambda writes it."""
    return json.dumps(value, separators=(",", ":"))


def statements_of(document: str | None) -> list[Statement]:
    """Return the statements of a policy document, none if there is none."""
    if document is None:
        return []
    statements: list[Statement] = json.loads(document)["Statement"]
    return statements


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
    if any(each["Sid"] == sid for each in statements):
        raise ResourceConflictException(
            f"The statement id ({sid}) provided already exists. Please provide a new statement "
            "id, or remove the existing statement."
        )
    text = _document(*statements, statement)
    if len(text) > quotas.POLICY_BYTES_MAX:
        raise PolicyLengthExceededException(
            f"The final policy size ({len(text)}) is bigger than the limit "
            f"({quotas.POLICY_BYTES_MAX})."
        )
    return BoundPolicy(text, (*before, *bound))


def without_statement(policy: BoundPolicy | None, sid: str) -> BoundPolicy | None:
    """Return a policy without a statement, or None if it was the last."""
    if policy is None:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    statements = statements_of(policy.document)
    left = [each for each in statements if each["Sid"] != sid]
    if len(left) == len(statements):
        raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
    bound = tuple(name for name in policy.bound if name.sid != sid)
    return BoundPolicy(_document(*left), bound) if left else None


def _document(*statements: Statement) -> str:
    """Return a policy document."""
    return text_of({"Version": "2012-10-17", "Id": "default", "Statement": statements})


def allows_invoke(policy: BoundPolicy | None, caller: Principal, function_arn: str) -> bool:
    """Return whether a function's policy lets a service invoke it."""
    request = AccessRequest(caller, INVOKE, function_arn, context_of(caller))
    if policy is None:
        return evaluate(request, NO_POLICIES).allowed
    compiled = compile_policy(policy.document, kind="resource", bound=policy.bound)
    return evaluate(request, NO_POLICIES.with_resource(compiled)).allowed
