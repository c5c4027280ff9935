"""What the code of an operation can reach: its function, and what that names, inside its service.

Theory: from the function's own source, follow every name (through modules, closures, classes and
data) to code of the same service. That reaches too much, never too little, but for values of
classes that no reachable code names. A word counts as read where it may be taken from a request:
not as a docstring, nor where code of a function writes a dictionary under it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

SERVICES = "fogbank.services."
Functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@cache
def _functions_of(path: str) -> dict[int, list[Functions]]:
    """Return the functions of a file by the line on which Python says they begin."""
    found: dict[int, list[Functions]] = {}
    if not Path(path).is_file():
        return found  # what ``NamedTuple`` and others generate
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, Functions):
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            line = min(node.lineno, *(each.lineno for each in decorators), node.lineno)
            found.setdefault(line, []).append(node)
    return found


def _docstrings(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the docstrings of a function and of those inside it."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            yield inner.value


def _written(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the words under which a function writes into dictionaries."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Dict):
            yield from (key for key in inner.keys if key is not None)
        elif isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
            yield inner.slice


class Reach:
    """What one operation reaches, followed once."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.prefixes: tuple[str, ...] = ()
        """Beginnings that the code asks names for: it reads every member that begins so."""
        self._seen: set[int] = set()
        self._kept: list[Any] = []

    def follow(self, value: Any) -> None:
        """Follow a value: code, or data that holds words or code."""
        if isinstance(value, str):
            self.words.add(value)
            return
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        # What was made on the way must live, so that its id stays its own.
        self._kept.append(value)
        value = getattr(value, "__wrapped__", value)
        if isinstance(value, FunctionType):
            self._follow_function(value)
        elif isinstance(value, type):
            self._follow_class(value)
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self.follow(key)
                self.follow(inner)
        elif isinstance(value, tuple | list | set | frozenset):
            for inner in value:
                self.follow(inner)
        elif type(value).__module__.startswith(SERVICES):
            self.follow(type(value))

    def _follow_class(self, value: type) -> None:
        if not value.__module__.startswith(SERVICES):
            return
        for inner in vars(value).values():
            if isinstance(inner, property):
                self.follow(inner.fget)
            elif isinstance(inner, classmethod | staticmethod):
                self.follow(inner.__func__)
            elif isinstance(inner, FunctionType):
                self.follow(inner)

    def _follow_function(self, value: FunctionType) -> None:
        if not value.__module__.startswith(SERVICES):
            return
        code: CodeType = value.__code__
        for cell in value.__closure__ or ():
            self.follow(cell.cell_contents)
        for default in value.__defaults__ or ():
            self.follow(default)
        for node in _functions_of(code.co_filename).get(code.co_firstlineno, ()):
            # Not its decorators: what ``access=`` reads is not acted on.
            body = [node.body] if isinstance(node, ast.Lambda) else node.body
            self._follow_node(ast.Module([node.args, *body], []), value.__globals__)

    def may_read(self, member: str) -> bool:
        """Return whether the code may take a member from a request."""
        return member in self.words or member.startswith(self.prefixes)

    def _follow_node(self, node: ast.AST, names: Mapping[str, Any]) -> None:
        for inner in ast.walk(node):
            match inner:
                case ast.Call(ast.Attribute(attr="startswith"), [ast.Constant(str(prefix))]):
                    self.prefixes += (prefix,) if prefix else ()
        aside = {id(each) for each in (*_docstrings(node), *_written(node))}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                if id(inner) not in aside:
                    self.words.add(inner.value)
            elif isinstance(inner, ast.Name) and inner.id in names:
                if not isinstance(names[inner.id], ModuleType):
                    self.follow(names[inner.id])
            elif isinstance(inner, ast.Attribute):
                module = _module_of(inner.value, names)
                if module is not None:
                    self.follow(getattr(module, inner.attr, None))


def _module_of(node: ast.expr, names: Mapping[str, Any]) -> ModuleType | None:
    """Return the module of a service that a name means, or a name in a module: ``state.rows``."""
    found: Any = None
    if isinstance(node, ast.Name):
        found = names.get(node.id)
    elif isinstance(node, ast.Attribute):
        found = getattr(_module_of(node.value, names), node.attr, None)
    is_ours = isinstance(found, ModuleType) and found.__name__.startswith(SERVICES)
    return found if is_ours else None


def reach_of(start: Any) -> Reach:
    """Return what the code behind a function reaches."""
    reach = Reach()
    reach.follow(start)
    return reach
