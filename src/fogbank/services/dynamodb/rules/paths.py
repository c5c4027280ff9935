"""Document paths once their placeholders are resolved: finding, overlapping, cutting out.

A path is a tuple of names and list indexes; its first element is an attribute of the item.

Theory: the paths of one expression form a tree. Two of them overlap if one ends where the other
goes on, and conflict if they enter the same value one by name and one by index. Both show when
the paths are laid into the tree one after the other, and the tree is what a projection walks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fogbank.services.dynamodb.errors import ValidationException
from fogbank.services.dynamodb.rules.values import Item, Value

Path = tuple[str | int, ...]


class PathTree:
    """Where paths go on from one value: names or indexes to further trees.

    ``first`` is the path that came here first; ``ends`` says that a path ends here.
    """

    __slots__ = ("branches", "ends", "first")

    def __init__(self, first: Path) -> None:
        self.first = first
        self.branches: dict[str | int, PathTree] = {}
        self.ends = False


def path_text(path: Path) -> str:
    """Return a path as AWS's messages show it: ``[a, b, [3]]``."""
    steps = (f"[{step}]" if isinstance(step, int) else step for step in path)
    return f"[{', '.join(steps)}]"


def tree_of(paths: Iterable[Path]) -> PathTree:
    """Return the tree of paths that leave each other alone.

    Raises:
        ValidationException: Two of them overlap, or else conflict.
    """
    root = PathTree(())
    conflict: tuple[Path, Path] | None = None
    for path in paths:
        found = _lay(root, path)
        if found is not None and found[0] == "overlap":
            raise _collision(*found)
        conflict = conflict or (found and (found[1], found[2]))
    if conflict is not None:
        raise _collision("conflict", *conflict)
    return root


def _lay(root: PathTree, path: Path) -> tuple[str, Path, Path] | None:
    """Lay a path into a tree; return how it collides with another one, if it does."""
    node = root
    conflict: tuple[str, Path, Path] | None = None
    for step in path:
        if node.ends:
            return "overlap", node.first, path
        for other in node.branches:
            if isinstance(other, int) is not isinstance(step, int):
                conflict = conflict or ("conflict", node.branches[other].first, path)
            break
        node = node.branches.setdefault(step, PathTree(path))
    if node.ends or node.branches:
        return "overlap", node.first, path
    node.ends = True
    return conflict


def _collision(how: str, one: Path, two: Path) -> ValidationException:
    """Return the error for two paths that cannot stand together."""
    return ValidationException(
        f"Two document paths {how} with each other; must remove or rewrite one of these paths;"
        f" path one: {path_text(one)}, path two: {path_text(two)}"
    )


def find(item: Item, path: Path) -> Value | None:
    """Return the value at a path of an item, or None."""
    value = item.get(path[0])  # pyright: ignore[reportArgumentType] (a path begins with a name)
    for step in path[1:]:
        if value is None:
            return None
        value = member_of(value, step)
    return value


def member_of(value: Value, step: str | int) -> Value | None:
    """Return the member of a list or map at one step, or None."""
    if isinstance(step, int):
        members: list[Value] = value.get("L", [])
        return members[step] if step < len(members) else None
    return value.get("M", {}).get(step)


def cut(item: Item, tree: PathTree) -> Item:
    """Return what of an item the paths of a tree reach; list members keep their order."""
    content = _cut_map(item, tree)
    return content if content is not None else {}


def _cut_value(value: Value, tree: PathTree) -> Value | None:
    """Return what of a value a tree reaches, or None if that is nothing."""
    if tree.ends:
        return value
    content: Any = None
    if "M" in value:
        content = _cut_map(value["M"], tree)
        return None if content is None else {"M": content}
    if "L" in value:
        content = _cut_list(value["L"], tree)
        return None if content is None else {"L": content}
    return None


def _cut_map(members: Item, tree: PathTree) -> Item | None:
    """Return the named members that a tree reaches, or None if there are none."""
    found: Item = {}
    for step, branch in tree.branches.items():
        if isinstance(step, str) and step in members:
            reached = _cut_value(members[step], branch)
            if reached is not None:
                found[step] = reached
    return found or None


def _cut_list(members: list[Value], tree: PathTree) -> list[Value] | None:
    """Return the indexed members that a tree reaches, in their order, or None."""
    indexes = (step for step in tree.branches if isinstance(step, int) and step < len(members))
    reached = (_cut_value(members[index], tree.branches[index]) for index in sorted(indexes))
    return [value for value in reached if value is not None] or None
