"""Statements, compiled to tests of a request.

Rule: compiling does everything that does not depend on a request, and refuses everything that is
not evaluated. What is looked up before a statement is asked is not tested again by it: that it
speaks of the action, and that the resource begins as one of its prefixes (``index``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fogbank.platform.iam import document as documents
from fogbank.platform.iam.bound import Bound, ids_of
from fogbank.platform.iam.conditions import Condition, conditions_of
from fogbank.platform.iam.document import Kind, RawStatement
from fogbank.platform.iam.keys import require_evaluated, stored_among
from fogbank.platform.iam.principals import Named, Principals
from fogbank.platform.iam.request import AccessRequest, Caller
from fogbank.platform.iam.variables import Template, keys_of, template_of
from fogbank.platform.iam.wildcards import Matcher, Wild, matcher_of

_ANY_PREFIX: Final = ("",)
_PAIR: Final = 2
_ANY_RESOURCE: Final = (_ANY_PREFIX, ())


class Statement:
    """One compiled statement."""

    __slots__ = ("actions", "actions_negated", "allows", "index", "matches", "prefixes",
                 "principals", "sid", "stored_keys", "vendors")  # fmt: skip

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
        """Its patterns of actions, in lower case: an index looks them up."""
        self.actions_negated = raw.actions_negated
        self.prefixes, tests = (
            _ANY_RESOURCE if kind == "trust" else _resources_of(raw, variables=variables)
        )
        """What a resource that the statement speaks of begins with, one of them."""
        self.matches: Final = _all_of((*tests, *conditions_of(raw.conditions, variables=variables)))
        """Tells whether resource and conditions hold of a request whose action and whose
        resource's prefix were looked up before."""
        keys = {key.lower() for keys in raw.conditions.values() for key in keys}
        if variables:
            named = {key for text in _texts_of(raw) for key in keys_of(text)}
            for key in sorted(named):
                require_evaluated(key)
            keys |= {key.lower() for key in named}
        self.stored_keys = stored_among(keys)
        """The keys it reads whose values somebody must first look up in the store."""

    def named(self, caller: Caller) -> Named:
        """Return how directly a statement of a resource's policy names a caller."""
        assert self.principals is not None, "a resource policy names principals"
        return self.principals.named(caller)


def _texts_of(raw: RawStatement) -> Iterator[str]:
    """Yield every text of a statement in which variables may stand."""
    yield from raw.resources
    for keys in raw.conditions.values():
        for wanted in keys.values():
            yield from wanted


def _resources_of(
    raw: RawStatement, *, variables: bool
) -> tuple[tuple[str, ...], tuple[Condition, ...]]:
    """Return the prefixes of a Resource or NotResource element, and what they do not prove."""
    templates = [
        # AWS: an ARN that ends early stands for everything below (`arn:aws:s3` and so on).
        template_of(text + ":*" * (0 if text == "*" else 5 - text.count(":")), variables=variables)
        for text in raw.resources
    ]
    if raw.resources_negated:
        hit = _any_of(_hits(templates))
        return _ANY_PREFIX, (lambda request: not hit(request),)
    prefixes = tuple(sorted({template.prefix for template in templates}))
    if all(template.is_prefix for template in templates):
        return prefixes, ()
    return prefixes, (_any_of(_hits(templates)),)


def _hits(templates: Sequence[Template]) -> tuple[Condition, ...]:
    """Return the tests of which a resource that the templates speak of meets one."""
    exact: set[str] = set()
    matchers: list[Matcher] = []
    for template in templates:
        parts = template.bind(None) if not template.variables else None
        if parts is None:
            continue
        if any(isinstance(part, Wild) for part in parts):
            matchers.append(matcher_of(parts))
        else:
            exact.add("".join(str(part) for part in parts))
    if exact:
        matchers.insert(0, frozenset(exact).__contains__)
    return (
        *(_on_resource(matches) for matches in matchers),
        # AWS: a variable without value matches no resource, in NotResource too ("Policy variables
        # with no value").
        *(_on_bound(template) for template in templates if template.variables),
    )


def _on_resource(matches: Matcher) -> Condition:
    """Return the test of a request's resource."""
    return lambda request: matches(request.resource)


def _on_bound(template: Template) -> Condition:
    """Return the test of a request's resource against what a template stands for in it."""
    return lambda request: template.matches(request, request.resource)


def _any_of(tests: Sequence[Condition]) -> Condition:
    """Return whether one of the tests holds."""
    if len(tests) == 1:
        return tests[0]

    def holds(request: AccessRequest) -> bool:
        for test in tests:  # noqa: SIM110 (a loop is twice as fast as any() here)
            if test(request):
                return True
        return False

    return holds


def _all_of(tests: Sequence[Condition]) -> Condition:
    """Return whether all of the tests hold."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) == _PAIR:
        first, second = tests
        return lambda request: first(request) and second(request)

    def holds(request: AccessRequest) -> bool:
        for test in tests:  # noqa: SIM110 (a loop is twice as fast as all() here)
            if not test(request):
                return False
        return True

    return holds
