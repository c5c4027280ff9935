"""Policy variables: ``${aws:username}``, ``${aws:PrincipalTag/team, 'none'}``, ``${*}``.

Rule: what a variable stands for is literal text, whatever characters it holds; a wildcard stands
in the policy only. A variable without a value and without a default makes its pattern match
nothing. Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from fogbank.platform.iam.malformed import MalformedPolicy
from fogbank.platform.iam.request import AccessRequest, ContextValue, reader_of
from fogbank.platform.iam.wildcards import Part, Wild, matcher_of, parts_of

_VARIABLE: Final = re.compile(r"\$\{([^}]{0,600})\}")
"""Longer than a tag's key and a tag's value; the bound keeps the search linear."""
_NAMED: Final = re.compile(
    r"\s*([A-Za-z0-9_.-]+:[^'\",{}$*?]*[^'\",{}$*?\s])\s*(?:,\s*'([^']*)'\s*)?"
)
_ESCAPED: Final = frozenset("*?$")


class Variable(NamedTuple):
    """A named variable of a template."""

    key: str
    """In lower case: the case of condition keys does not matter."""
    default: str | None
    read: Callable[[AccessRequest, str], ContextValue | None]

    def text(self, request: AccessRequest) -> str | None:
        """Return what it stands for in a request, or None if it has no value."""
        value = self.read(request, self.key)
        # A key with several values cannot stand in a text; AWS treats it as without value.
        return value if isinstance(value, str) else self.default


class Template:
    """A text with wildcards and variables, bound to a request when it is evaluated."""

    __slots__ = ("_heading", "_parts", "is_prefix", "prefix", "variables")

    def __init__(self, parts: list[Part | Variable]) -> None:
        self._parts = parts
        self.prefix = parts[0] if parts and isinstance(parts[0], str) else ""
        """The literal text that everything it stands for begins with."""
        self.is_prefix = parts in ([self.prefix, Wild.ANY], [Wild.ANY])
        """Whether it stands for everything that begins so."""
        self.variables = tuple(part for part in parts if isinstance(part, Variable))
        self._heading = _heading_of(parts)

    def bind(self, request: AccessRequest | None) -> list[Part] | None:
        """Return the parts with values for variables, or None if one has no value."""
        bound: list[Part] = []
        for part in self._parts:
            if not isinstance(part, Variable):
                bound.append(part)
                continue
            assert request is not None, "a template with variables is bound to a request"
            value = part.text(request)
            if value is None:
                return None
            bound.append(value)
        return bound

    def matches(self, request: AccessRequest, text: str) -> bool:
        """Tell whether a text is one that the template stands for in a request."""
        if self._heading is None:
            parts = self.bind(request)
            return parts is not None and matcher_of(parts)(text)
        at = 0
        for part in self._heading:
            literal = part if isinstance(part, str) else part.text(request)
            if literal is None or not text.startswith(literal, at):
                return False
            at += len(literal)
        return True


def _heading_of(parts: Sequence[Part | Variable]) -> tuple[str | Variable, ...] | None:
    """Return texts and variables of which anything follows the last, None if parts are others.

    That is the form of most that are written, such as ``home/${aws:username}/*``.
    """
    if not parts or parts[-1] is not Wild.ANY:
        return None
    heading = tuple(part for part in parts[:-1] if not isinstance(part, Wild))
    return heading if len(heading) == len(parts) - 1 else None


def template_of(text: str, *, variables: bool, wildcards: bool = True) -> Template:
    """Return the template of a policy's text.

    Args:
        text: As it stands in the policy.
        variables: Whether the policy's version knows variables (2012-10-17).
        wildcards: Whether ``*`` and ``?`` outside of variables are wildcards.

    Raises:
        MalformedPolicy: A variable has a form that means nothing.
    """
    if not variables or "${" not in text:
        return Template(list(parts_of(text) if wildcards else [text]))
    parts: list[Part | Variable] = []
    at = 0
    for found in _VARIABLE.finditer(text):
        _add_literal(parts, text[at : found.start()], wildcards=wildcards)
        parts.append(_variable_of(found.group(1), text))
        at = found.end()
    _add_literal(parts, text[at:], wildcards=wildcards)
    return Template(parts)


def keys_of(text: str) -> list[str]:
    """Return the condition keys that a text's variables name."""
    named = (_NAMED.fullmatch(inner) for inner in _VARIABLE.findall(text))
    return [found.group(1) for found in named if found is not None]


def _add_literal(parts: list[Part | Variable], text: str, *, wildcards: bool) -> None:
    """Append text between variables."""
    if "${" in text:
        raise MalformedPolicy(f"Invalid policy variable in {text!r}.")
    if text:
        parts.extend(parts_of(text) if wildcards else [text])


def _variable_of(inner: str, text: str) -> str | Variable:
    """Return the variable, or the character that was escaped."""
    if inner in _ESCAPED:
        return inner
    named = _NAMED.fullmatch(inner)
    if named is None:
        raise MalformedPolicy(f"Invalid policy variable in {text!r}.")
    key = named.group(1).lower()
    return Variable(key, named.group(2), reader_of(key))
