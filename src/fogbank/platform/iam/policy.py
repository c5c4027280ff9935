"""Compiled policies: documents whose statements answer quickly whether they speak of a request.

Rule: what cannot be evaluated is refused here, when a policy is put, and never ignored later.
"""

from __future__ import annotations

from typing import Any

from fogbank.platform.iam import document as documents
from fogbank.platform.iam.bound import Bound
from fogbank.platform.iam.decision import PolicySource
from fogbank.platform.iam.document import Kind
from fogbank.platform.iam.index import StatementIndex, Statements
from fogbank.platform.iam.statement import Statement


class Policy:
    """A compiled policy document."""

    __slots__ = ("find", "kind", "source_of", "statements", "stored_keys", "version")

    def __init__(self, kind: Kind, version: str, statements: Statements) -> None:
        self.kind: Kind = kind
        self.version = version
        self.statements = statements
        index = StatementIndex([(self, PolicySource(kind))])
        self.find = index.find
        self.source_of = index.source_of
        self.stored_keys = index.stored_keys

    @property
    def principal_arns(self) -> frozenset[str]:
        """Return the ARNs of users, roles and sessions that the policy names and does not bind."""
        return frozenset(
            arn
            for statement in self.statements
            if statement.principals is not None
            for arn in statement.principals.arns
        )


def compile_policy(
    document: str | dict[str, Any],
    *,
    kind: Kind,
    current_version: bool = False,
    bound: Bound = (),
    partition: str = "",
) -> Policy:
    """Return the compiled policy of a document.

    Args:
        document: JSON text, or its decoded object.
        kind: ``identity`` (on users, groups and roles), ``resource``, ``trust`` (of roles) or
            ``session`` (given with a request for a session).
        current_version: Refuse the older version of the language, as managed policies do.
        bound: Whom the document's names of users and roles mean.
        partition: The only one whose resources the document may name; empty: any.

    Raises:
        MalformedPolicy: With AWS's message, as far as known.
        NotEvaluated: The document uses what is not evaluated yet.
    """
    raw = documents.parse(document)
    if current_version:
        documents.require_current_version(raw)
    documents.check(raw, kind, partition)
    variables = raw.version == documents.VERSIONS[-1]
    return Policy(
        kind,
        raw.version,
        tuple(
            Statement(one, kind, bound, variables=variables, index=index)
            for index, one in enumerate(raw.statements)
        ),
    )
