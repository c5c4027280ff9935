"""Write the types of wire values: a stub of TypedDicts for each service, for type checkers only.

``src/fogbank/wire/shapes/<service>.pyi`` holds the inputs and outputs of the operations that are
built, with everything beneath them; nothing imports it at run time. ``--check`` fails when a file
differs from what would be written.

    tools/shapes.py                                     every service of the roster
    tools/shapes.py dynamodb s3                         these, with the operations they have built
    tools/shapes.py logs --operations PutLogEvents,...  one that cannot be imported yet
"""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

from fogbank.wire.model import OperationModel, Ref, Shape, load

SHAPES = Path(__file__).parents[1] / "src" / "fogbank" / "wire" / "shapes"

HEAD = """Wire values of {}: written by tools/shapes.py from the published model; do not edit.

Members are by wire names; timestamps are ints of milliseconds since the Unix epoch.
"""
IMPORTS = (
    ("collections.abc", ("AsyncIterator",)),
    ("typing", ("Any", "Required", "TypedDict")),
    ("fogbank.wire.http", ("BodyStream",)),
)
SIMPLE = {
    "string": "str",
    "integer": "int",
    "long": "int",
    "timestamp": "int",
    "boolean": "bool",
    "float": "float",
    "double": "float",
    "blob": "bytes",
}


def package_of(service: str) -> str:
    """Return the Python name of a service: its model's name, with a dash or a keyword mended."""
    name = service.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def type_of(ref: Ref, *, answered: bool) -> str:
    """Return the annotation of a member or element."""
    shape = ref.shape
    if shape.is_document or shape.is_event_stream:
        return "Any"
    if ref.streaming:
        return "bytes | AsyncIterator[bytes]" if answered else "bytes | BodyStream"
    if shape.type == "structure":
        return shape.name
    if shape.type == "list":
        return f"list[{type_of(shape.member, answered=answered)}]"
    if shape.type == "map":
        return f"dict[str, {type_of(shape.value, answered=answered)}]"
    return SIMPLE[shape.type]


def class_of(shape: Shape, *, asked: bool) -> str:
    """Return the TypedDict of a structure; only what clients send has required members."""
    fields: list[tuple[str, str]] = []
    for name, ref in shape.members.items():
        annotation = type_of(ref, answered=not asked)
        required = asked and name in shape.required
        fields.append((name, f"Required[{annotation}]" if required else annotation))
    if all(name.isidentifier() and not keyword.iskeyword(name) for name, _ in fields):
        body = [f"    {name}: {annotation}" for name, annotation in fields] or ["    pass"]
        return "\n".join([f"class {shape.name}(TypedDict, total=False):", *body])
    pairs = ", ".join(f'"{name}": {annotation}' for name, annotation in fields)
    return f'{shape.name} = TypedDict("{shape.name}", {{{pairs}}}, total=False)'


def reached(roots: Iterable[Shape]) -> dict[str, Shape]:
    """Return the structures at and beneath some shapes, by name."""
    found: dict[str, Shape] = {}
    for root in roots:
        for name in (root.name, *root.reachable):
            shape = root.service.shape(name)
            if shape.type == "structure" and not (shape.is_document or shape.is_event_stream):
                found[name] = shape
    return found


def imports_of(body: str) -> str:
    """Return the imports that a stub needs."""
    found = ["from __future__ import annotations"]
    for module, names in IMPORTS:
        used = [name for name in names if re.search(rf"\b{name}\b", body)]
        if used:
            found.append(f"from {module} import {', '.join(used)}")
    return "\n".join(found)


def stub_of(service: str, operations: Sequence[OperationModel]) -> str:
    """Return the text of one service's stub."""
    asked = reached(each.input for each in operations if each.input)
    answered = reached(each.output for each in operations if each.output)
    shapes = {**answered, **asked}
    classes = [class_of(shapes[name], asked=name in asked) for name in sorted(shapes)]
    body = "\n\n".join(classes)
    return f'"""{HEAD.format(service)}"""\n\n{imports_of(body)}\n\n{body}\n'


def built_operations(package: str) -> tuple[str, list[OperationModel]]:
    """Return a service's model name and the operations that have a function, built or begun."""
    service = import_module(f"fogbank.services.{package}").SERVICE
    model = load(service.model)
    return service.model, [model.by_function[name] for name in service.declared]


def wanted(options: argparse.Namespace) -> dict[str, list[OperationModel]]:
    """Return the operations to write for each service."""
    if options.operations:
        (service,) = options.services
        model = load(service)
        return {service: [model.operations[name] for name in options.operations.split(",")]}
    packages = [package_of(name) for name in options.services]
    if not packages:
        packages = list(import_module("fogbank.server.roster").ROSTER)
    return dict(built_operations(package) for package in packages)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the stubs, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("services", nargs="*", help="botocore names of services")
    parser.add_argument("--operations", help="operations, where a service has no manifest yet")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    options = parser.parse_args(arguments)
    stale: list[str] = []
    for service, operations in wanted(options).items():
        path = SHAPES / f"{package_of(service)}.pyi"
        text = stub_of(service, operations)
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        if options.check:
            stale.append(path.name)
        else:
            path.write_text(text, "utf-8")
    if stale:
        print(f"stale: {', '.join(stale)}; run tools/shapes.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
