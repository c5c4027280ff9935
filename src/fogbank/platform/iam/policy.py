"""Compiled policies: statements that answer quickly whether they speak of a request.

Rule: compiling does everything that does not depend on a request, and refuses everything that is
not evaluated. Statements are indexed by the prefix of their actions; the statements that speak of
an action are remembered, a bounded number of actions at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from fogbank.platform.iam import document as documents
from fogbank.platform.iam.bound import Bound, ids_of
from fogbank.platform.iam.conditions import Condition, conditions_of
from fogbank.platform.iam.decision import PolicySource
from fogbank.platform.iam.document import Kind, RawStatement
from fogbank.platform.iam.keys import require_evaluated, stored_among
from fogbank.platform.iam.principals import Named, Principals
from fogbank.platform.iam.request import AccessRequest, Caller
from fogbank.platform.iam.variables import Template, keys_of, template_of
from fogbank.platform.iam.wildcards import Matcher, matcher_of, pattern_matcher

ACTIONS_REMEMBERED_MAX: Final = 256
"""Actions per index whose statements are remembered."""


_WILD: Final = re.compile(r"[*?]")
_ANY_PREFIX: Final = ("",)


class _Resources:
    """A compiled Resource or NotResource element."""

    __slots__ = ("_exact", "_matchers", "_negated", "_templates", "prefixes")

    def __init__(self, resources: Sequence[str], *, negated: bool, variables: bool) -> None:
        self._negated = negated
        exact: set[str] = set()
        prefixes: set[str] = set()
        self._matchers: list[Matcher] = []
        self._templates: list[Template] = []
        for resource in resources:
            # AWS: an ARN that ends early stands for everything below (`arn:aws:s3` and so on).
            missing = 0 if resource == "*" else 5 - resource.count(":")
            template = template_of(resource + ":*" * missing, variables=variables)
            prefixes.add("" if negated else template.prefix)
            parts = template.bind(None) if not template.variables else None
            if parts is None:
                self._templates.append(template)
            elif all(isinstance(part, str) for part in parts):
                exact.add("".join(str(part) for part in parts))
            else:
                self._matchers.append(matcher_of(parts))
        self._exact = frozenset(exact)
        self.prefixes = tuple(sorted(prefixes))
        """What a resource that the element speaks of begins with, one of them."""

    def matches(self, request: AccessRequest) -> bool:
        """Tell whether the element speaks of the request's resource."""
        resource = request.resource
        if resource in self._exact:
            return not self._negated
        for matches in self._matchers:
            if matches(resource):
                return not self._negated
        for template in self._templates:
            # AWS: a variable without value matches no resource, in NotResource too ("Policy
            # variables with no value").
            parts = template.bind(request)
            if parts is not None and matcher_of(parts)(resource):
                return not self._negated
        return self._negated


class Statement:
    """One compiled statement."""

    __slots__ = ("_conditions", "_resources", "actions", "actions_negated", "allows", "index",
                 "prefixes", "principals", "sid", "stored_keys", "vendors")  # fmt: skip

    def __init__(
        self, raw: RawStatement, kind: Kind, bound: Bound, *, variables: bool, index: int
    ) -> None:
        self.index = index
        """Its place in its document, from 0."""
        self.sid = raw.sid
        self.allows = raw.effect == "Allow"
        self.vendors = documents.vendors_of(raw)
        self.principals = (
            None
            if raw.principal is None
            else Principals(
                raw.principal,
                negated=raw.principal_negated,
                trust=kind == "trust",
                allows=self.allows,
                ids=ids_of(bound, raw.sid),
            )
        )
        self.actions = tuple(action.lower() for action in raw.actions)
        """Its patterns of actions, in lower case: ``_Vendor`` looks them up."""
        self.actions_negated = raw.actions_negated
        self._resources = (
            None
            if kind == "trust"
            else _Resources(raw.resources, negated=raw.resources_negated, variables=variables)
        )
        self.prefixes = _ANY_PREFIX if self._resources is None else self._resources.prefixes
        """``resource.startswith(prefixes)`` must hold for the statement to match: the one question
        that most statements of a large set are done with."""
        self._conditions: tuple[Condition, ...] = conditions_of(raw.conditions, variables=variables)
        keys = {key.lower() for keys in raw.conditions.values() for key in keys}
        if variables:
            named = {key for text in _texts_of(raw) for key in keys_of(text)}
            for key in sorted(named):
                require_evaluated(key)
            keys |= {key.lower() for key in named}
        self.stored_keys = stored_among(keys)
        """The keys it reads whose values somebody must first look up in the store."""

    @property
    def is_conditional(self) -> bool:
        """Tell whether the statement has conditions."""
        return bool(self._conditions)

    def named(self, caller: Caller) -> Named:
        """Return how directly a statement of a resource's policy names a caller."""
        assert self.principals is not None, "a resource policy names principals"
        return self.principals.named(caller)

    def matches(self, request: AccessRequest) -> bool:
        """Tell whether resource and conditions hold; the action was looked up before."""
        if self._resources is not None and not self._resources.matches(request):
            return False
        for holds in self._conditions:  # noqa: SIM110 (a loop is twice as fast as all() here)
            if not holds(request):
                return False
        return True


def _texts_of(raw: RawStatement) -> Iterator[str]:
    """Yield every text of a statement in which variables may stand."""
    yield from raw.resources
    for keys in raw.conditions.values():
        for wanted in keys.values():
            yield from wanted


Found = tuple[tuple[Statement, ...], tuple[Statement, ...]]
"""The denying and the allowing statements that speak of an action."""


class _Vendor:
    """The statements that may speak of the actions of one service, by the patterns of actions.

    Policies say the same few patterns again and again. Each is held against an action once, and
    stands for a number that has a bit for every statement which has the pattern: what all patterns
    of an action make together says which statements speak of it. Actions of which the same speak
    share what was found.
    """

    __slots__ = ("_exact", "_found", "_negated", "_patterns", "_statements")

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._exact: dict[str, int] = {}
        self._negated = 0
        wild: dict[str, int] = {}
        for at, statement in enumerate(statements):
            if statement.actions_negated:
                self._negated |= 1 << at
            for pattern in statement.actions:
                kind = wild if _WILD.search(pattern) else self._exact
                kind[pattern] = kind.get(pattern, 0) | 1 << at
        self._patterns = [(pattern_matcher(pattern), bits) for pattern, bits in wild.items()]
        self._found: dict[int, Found] = {}

    def find(self, action: str) -> Found:
        """Return the statements that speak of an action, given in lower case."""
        said = self._exact.get(action, 0)
        for matches, bits in self._patterns:
            if matches(action):
                said |= bits
        speaking = said ^ self._negated
        found = self._found.get(speaking)
        if found is None:
            found = self._of(speaking)
            if len(self._found) >= ACTIONS_REMEMBERED_MAX:
                self._found.clear()
            self._found[speaking] = found
        return found

    def _of(self, bits: int) -> Found:
        """Return the statements that the bits stand for."""
        speaking = [each for at, each in enumerate(self._statements) if bits >> at & 1]
        return (
            tuple(statement for statement in speaking if not statement.allows),
            tuple(statement for statement in speaking if statement.allows),
        )


class StatementIndex:
    """Statements by the prefix of the actions that they speak of.

    Args:
        policies: Compiled policies, which add up, each with where it comes from. A policy that
            hangs on a principal twice goes by the first of its sources.
    """

    __slots__ = ("_any", "_by_vendor", "_remembered", "_sources", "_vendors", "stored_keys")

    def __init__(self, policies: Iterable[tuple[Policy, PolicySource]]) -> None:
        self._any: list[Statement] = []
        self._by_vendor: dict[str, list[Statement]] = {}
        self._vendors: dict[str, _Vendor] = {}
        self._remembered: dict[str, Found] = {}
        self._sources: dict[Statement, PolicySource] = {}
        for policy, source in policies:
            for statement in policy.statements:
                if statement not in self._sources:
                    self._sources[statement] = source
                    self._add(statement)
        self.stored_keys = frozenset[str]().union(*(each.stored_keys for each in self._sources))

    def _add(self, statement: Statement) -> None:
        """File a statement under the prefixes it speaks of."""
        if not statement.vendors:
            self._any.append(statement)
        for vendor in statement.vendors:
            self._by_vendor.setdefault(vendor, []).append(statement)

    def source_of(self, statement: Statement) -> PolicySource:
        """Return where a statement of the index comes from."""
        return self._sources[statement]

    def find(self, action: str) -> Found:
        """Return the denying and the allowing statements that speak of an action."""
        found = self._remembered.get(action)
        if found is None:
            found = self._find(action.lower())
            if len(self._remembered) >= ACTIONS_REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[action] = found
        return found

    def _find(self, action: str) -> Found:
        """Look the statements up; those of a service are put in order when first asked for."""
        name = action.partition(":")[0]
        if name not in self._by_vendor:
            name = ""
        vendor = self._vendors.get(name)
        if vendor is None:
            statements = [*self._any, *self._by_vendor.get(name, ())]
            vendor = self._vendors[name] = _Vendor(statements)
        return vendor.find(action)


class Policy:
    """A compiled policy document."""

    __slots__ = ("find", "kind", "source_of", "statements", "stored_keys", "version")

    def __init__(self, kind: Kind, version: str, statements: tuple[Statement, ...]) -> None:
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
