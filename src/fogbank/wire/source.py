"""Writing Python source that is compiled once and run many times.

Rule: source is written from published models and our own patches only, never from a request;
every name or text that comes from a model goes through ``repr``. Theory: a decoder specialised
to its shape needs no lookups of traits at run time (Futamura's first projection by hand).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

from fogbank.wire.model import Shape

INDENT = "    "


class Source:
    """Lines of functions that share a namespace."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0

    def line(self, text: str) -> None:
        """Add one line at the present depth."""
        self._lines.append(INDENT * self._depth + text)

    def lines(self, *texts: str) -> None:
        """Add several lines at the present depth."""
        for text in texts:
            self.line(text)

    @contextmanager
    def block(self, head: str) -> Generator[None]:
        """Add ``head:`` and indent what is added inside."""
        self.line(f"{head}:")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def constant(self, value: object) -> str:
        """Return a name that stands for a value at run time."""
        name = f"c_{len(self.namespace)}"
        assert name not in self.namespace
        self.namespace[name] = value
        return name

    def fresh(self, stem: str = "t") -> str:
        """Return a variable name not used before in these lines."""
        self._names += 1
        return f"{stem}{self._names}"

    def run(self, label: str) -> None:
        """Compile and run the lines, which defines their functions in the namespace."""
        text = "\n".join(self._lines)
        exec(compile(text, f"<wire {label}>", "exec"), self.namespace)  # noqa: S102 (see the rule)
        self._lines.clear()


class Writer(Protocol):
    """Writes the function of one shape into a source."""

    def __call__(self, source: Source, shape: Shape, name: str) -> None:
        """Write the function ``name``."""
        ...


class Functions:
    """Functions of shapes, written when first asked for, each once, recursion included."""

    def __init__(self, prefix: str, runtime: dict[str, Any], write: Writer) -> None:
        self._prefix = prefix
        self._write = write
        self._known: set[str] = set()
        self._left: list[tuple[str, Shape]] = []
        self.source = Source(dict(runtime))

    def name(self, shape: Shape, prefix: str = "") -> str:
        """Return the name of a shape's function; it is written before the source is run.

        Args:
            shape: A structure.
            prefix: Another kind of function of the same shape, told apart by the writer.
        """
        name = f"{prefix or self._prefix}_{shape.name}"
        if name not in self._known:
            self._known.add(name)
            self._left.append((name, shape))
        return name

    def get(self, shape: Shape, prefix: str = "") -> Callable[..., Any]:
        """Return the compiled function of a shape."""
        wanted = self.name(shape, prefix)
        while self._left:
            name, each = self._left.pop()
            self._write(self.source, each, name)
            self.source.run(name)
        return self.source.namespace[wanted]
