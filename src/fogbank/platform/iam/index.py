"""Statements, found by action and resource.

Theory: what a set of policies says is much, and what of it speaks of one request is little. Each
pattern stands for a number that has a bit for every statement which has it; what all patterns that
fit a text make together says which statements fit, and those of which the same fit share what was
found. Patterns that are a literal text with anything behind it, and the literal beginnings of all
others, are not tried one by one: they are looked up, once for each of their lengths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from fogbank.platform.iam.decision import PolicySource
from fogbank.platform.iam.statement import Statement
from fogbank.platform.iam.wildcards import pattern_matcher

ACTIONS_REMEMBERED_MAX: Final = 256
"""Actions per index whose statements are remembered; and of one service, sets of statements that
speak of an action, or of those the ones that may speak of a resource."""
_WILD: Final = re.compile(r"[*?]")
_BEGINNING: Final = re.compile(r"[^*?]*\*")

Statements = tuple[Statement, ...]


class _Prefixes:
    """Numbers by the texts that others begin with.

    Args:
        rows: Texts, each with the bits that it stands for.
    """

    __slots__ = ("_always", "_by_length", "are_alike")

    def __init__(self, rows: Iterable[tuple[str, int]]) -> None:
        self._always = 0
        lengths: dict[int, dict[str, int]] = {}
        for prefix, bits in rows:
            if not prefix:
                self._always |= bits
                continue
            prefixes = lengths.setdefault(len(prefix), {})
            prefixes[prefix] = prefixes.get(prefix, 0) | bits
        self._by_length: Final = tuple(sorted(lengths.items()))
        self.are_alike = not lengths
        """Whether every text has the same bits."""

    def of(self, text: str) -> int:
        """Return the bits of all that a text begins with."""
        bits = self._always
        for length, prefixes in self._by_length:
            found = prefixes.get(text[:length])
            if found is not None:
                bits |= found
        return bits


class Shelf:
    """Statements that speak of an action, found by resource."""

    __slots__ = ("_found", "_prefixes", "statements")

    def __init__(self, statements: Statements) -> None:
        self.statements = statements
        self._prefixes: Final = _Prefixes(
            (prefix, 1 << at)
            for at, statement in enumerate(statements)
            for prefix in statement.prefixes
        )
        self._found: Final[dict[int, Statements]] = {}

    def at(self, resource: str) -> Statements:
        """Return those that may speak of a resource, in their order; ``matches`` says which do."""
        prefixes = self._prefixes
        if prefixes.are_alike:
            return self.statements
        bits = prefixes.of(resource)
        found = self._found.get(bits)
        if found is None:
            found = _of(bits, self.statements)
            if len(self._found) >= ACTIONS_REMEMBERED_MAX:
                self._found.clear()
            self._found[bits] = found
        return found


def _of(bits: int, statements: Sequence[Statement]) -> Statements:
    """Return the statements that bits stand for."""
    return tuple(each for at, each in enumerate(statements) if bits >> at & 1)


class Found(NamedTuple):
    """The statements that speak of an action."""

    denying: Shelf
    allowing: Shelf


class _Vendor:
    """The statements that may speak of the actions of one service, by the patterns of actions."""

    __slots__ = ("_beginnings", "_exact", "_found", "_negated", "_patterns", "_statements")

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
        self._beginnings = _Prefixes(
            (pattern[:-1], bits) for pattern, bits in wild.items() if _BEGINNING.fullmatch(pattern)
        )
        self._patterns = [
            (pattern_matcher(pattern), bits)
            for pattern, bits in wild.items()
            if not _BEGINNING.fullmatch(pattern)
        ]
        self._found: dict[int, Found] = {}

    def find(self, action: str) -> Found:
        """Return the statements that speak of an action, given in lower case."""
        said = self._exact.get(action, 0) | self._beginnings.of(action)
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
        """Return the statements that bits stand for, by what they do."""
        speaking = _of(bits, self._statements)
        return Found(
            Shelf(tuple(statement for statement in speaking if not statement.allows)),
            Shelf(tuple(statement for statement in speaking if statement.allows)),
        )


class HasStatements(Protocol):
    """A compiled policy, as far as an index needs it."""

    @property
    def statements(self) -> Statements:
        """Return its statements, in their order."""
        ...


class StatementIndex:
    """Statements by the prefix of the actions that they speak of.

    Args:
        policies: Compiled policies, which add up, each with where it comes from. A policy that
            hangs on a principal twice goes by the first of its sources.
    """

    __slots__ = ("_any", "_by_vendor", "_remembered", "_sources", "_vendors", "stored_keys")

    def __init__(self, policies: Iterable[tuple[HasStatements, PolicySource]]) -> None:
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
