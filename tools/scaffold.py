"""Write the blanks of a service or of an operation; what it writes passes tools/check as it is.

    tools/scaffold service sqs --model sqs
    tools/scaffold operation sqs CreateQueue [--noun queues]

A service gets its package, its word in the roster, its byte in the key space, its pages and a wire
test. An operation gets its function, marked ``begun=True`` with every modelled member listed, and a
wire test: clients hear NotImplemented until the function is written and the mark is removed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fogbank.wire.model import OperationModel, documentation, load

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "src" / "fogbank" / "services"
GENERATORS = ("shapes", "ledger")
LINE_MAX = 100
FUTURE = "from __future__ import annotations\n"


class Refusal(Exception):
    """The blanks cannot be written; the message says why."""


class Names(NamedTuple):
    """What a service is called where."""

    package: str
    model: str
    title: str

    @property
    def page(self) -> str:
        """Return the name of its page."""
        return self.package.strip("_")


def write(path: Path, text: str) -> None:
    """Write a new file, its folders with it."""
    if path.exists():
        raise Refusal(f"{path.relative_to(ROOT)} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    print(f"wrote   {path.relative_to(ROOT)}")


def change(path: Path, pattern: str, replacement: str) -> None:
    """Replace the one place in a file that a pattern finds."""
    text, count = re.subn(pattern, replacement, path.read_text("utf-8"), count=1, flags=re.DOTALL)
    if count != 1:
        raise Refusal(f"{path.relative_to(ROOT)} has not the form that this tool knows")
    path.write_text(text, "utf-8")
    print(f"changed {path.relative_to(ROOT)}")


# A service.


def roster_with(package: str) -> str:
    """Return the line of the roster with one more word."""
    from fogbank.server.roster import ROSTER  # noqa: PLC0415 (only here: it imports nothing heavy)

    words = ", ".join(f'"{name}"' for name in sorted([*ROSTER, package]))
    return f"ROSTER = ({words})"


def add_service(names: Names) -> None:
    """Write the package of a service and everything that names it."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", names.package):
        raise Refusal(f"{names.package!r} is no name of a package")
    here, title = SERVICES / names.package, names.title
    model = load(names.model)
    first = min(
        (each for each in model.operations.values() if not each.required),
        key=lambda op: op.name,
        default=next(iter(model.operations.values())),
    )
    write(
        here / "__init__.py",
        f'"""{title}: begun; nothing of it is built yet."""\n\n{FUTURE}\n'
        "from fogbank.contract.service import Service\n\n"
        f'SERVICE = Service(\n    model="{names.model}",\n    operations=(),\n)\n',
    )
    for room, line in (
        ("arns", f"How {title} writes its ARNs: the Service Authorization Reference lists them."),
        ("errors", f"The errors {title} tells, each named as its wire code."),
        ("quotas", f"The limits of {title}, with AWS's values."),
        ("operations/__init__", f"{title}'s operations, a module per noun."),
    ):
        write(here / f"{room}.py", f'"""{line}"""\n\n{FUTURE}')
    change(ROOT / "src/fogbank/server/roster.py", r"ROSTER = \([^)]*\)", roster_with(names.package))
    keyspace = ROOT / "src/fogbank/platform/store/keyspace.py"
    used = re.findall(
        r'^    "[\w-]+": (0x[0-9A-F]{2}),$', keyspace.read_text("utf-8"), re.MULTILINE
    )
    number = max(int(text, 16) for text in used) + 1
    change(
        keyspace,
        r"(SERVICES: Final = \{.*?)\n\}",
        rf'\1\n    "{names.model}": 0x{number:02X},\n}}',
    )
    write(
        ROOT / "docs/services" / f"{names.page}.md",
        f"# {title}\n\nBegun: nothing of it is built yet, and every operation answers `NotImplemented`. "
        f"What stands is in\n`docs/coverage/{names.model}.md`.\n",
    )
    members = ", ".join(f"{name}=None" for name in first.required)
    write(
        ROOT / "tests/wire" / names.package / "test_not_built.py",
        f"{FUTURE}\nimport pytest\nfrom botocore.config import Config\n"
        "from botocore.exceptions import ClientError\n\nfrom fogbank.testing.cloud import Cloud\n\n\n"
        "def test_what_is_not_built_says_so(cloud: Cloud) -> None:\n"
        "    unchecked = Config(parameter_validation=False)\n"
        f'    client = cloud.client("{names.model}", config=unchecked)\n'
        f'    with pytest.raises(ClientError, match="fogbank has not built {names.model}:{first.name}"):\n'
        f"        client.{first.function}({members})\n",
    )


# An operation.


def sentence_of(model: OperationModel) -> str:
    """Return an imperative sentence of what the model says the operation does."""
    said = re.sub(r"<[^>]+>|\s+", " ", documentation(model)).strip()
    said = re.sub(r"\s+([.,;:])", r"\1", said)
    sentence = re.sub(r"\s+", " ", said.partition(". ")[0]).rstrip(".")
    verb, _, rest = sentence.partition(" ")
    if re.fullmatch(r"[A-Z][a-z]+s", verb) and rest and len(sentence) < LINE_MAX - 14:
        stem = verb[:-2] if re.search(r"(sh|ch|ss|x|zz)es$", verb) else verb[:-1]
        return f"{stem} {rest}."
    words = re.findall(r"[A-Z][a-z0-9]*|[A-Z]+(?![a-z])", model.name)
    return f"{words[0]} {' '.join(words[1:]).lower()}.".replace(" .", ".")


def noun_of(model: OperationModel) -> str:
    """Return the module that an operation belongs to by its name: the plural of its last words."""
    noun = model.function.partition("_")[2] or model.function
    return noun if noun.endswith("s") else f"{noun}s"


def listed(members: Iterable[str]) -> str:
    """Return the members of ``unhonoured``, each refused unless it is absent."""
    return "".join(f'        "{name}": None,\n' for name in members)


def function_of(names: Names, model: OperationModel) -> str:
    """Return the text of a begun operation."""
    members = listed(name for name in model.members if name not in model.required)
    unhonoured = f"    unhonoured={{\n{members}    }},\n" if members else ""
    request = f"shapes.{model.input.name}" if model.input else "Wire"
    reply = f"shapes.{model.output.name}" if model.output else "Wire"
    required = ", ".join(model.required)
    note = f"    # Required, so to be read: {required}.\n" if required else ""
    unused = "  # noqa: ARG001 (begun)"
    return (
        f"\n\n@operation(\n    begun=True,\n{unhonoured})\n"
        f"async def {model.function}(\n"
        f"    call: Call,{unused}\n    request: {request},{unused}\n) -> {reply}:\n"
        f'    """{sentence_of(model)}"""\n{note}'
        f'    raise NotBuilt.operation("{names.model}", "{model.name}")\n'
    )


def module_head(names: Names, model: OperationModel, noun: str) -> str:
    """Return the head of a new module of operations."""
    wire = "" if model.input and model.output else "from fogbank.base.types import Wire\n"
    shapes = (
        f"\nif TYPE_CHECKING:\n    from fogbank.wire.shapes import {names.package} as shapes\n"
        if model.input or model.output
        else ""
    )
    checking = "from typing import TYPE_CHECKING\n\n" if shapes else ""
    return (
        f'"""Operations on {noun.replace("_", " ")}."""\n\n{FUTURE}\n{checking}'
        f"from fogbank.base.errors import NotBuilt\n{wire}"
        "from fogbank.contract.call import Call\nfrom fogbank.contract.operation import operation\n"
        f"{shapes}"
    )


def mention(names: Names, noun: str) -> None:
    """Let the manifest list a new module of operations."""
    manifest = SERVICES / names.package / "__init__.py"
    text = manifest.read_text("utf-8")
    where = f"fogbank.services.{names.package}.operations"
    if f"from {where} import" in text:
        change(manifest, rf"(from {where} import (?:\()?)", rf"\1{noun}, ")
    else:
        line = "from fogbank.contract.service import Service\n"
        change(manifest, re.escape(line), f"{line}from {where} import {noun}\n")
    listed = re.search(r"operations=\(([^)]*)\)", text)
    assert listed is not None, "a manifest lists its operations"
    nouns = sorted({*re.findall(r"\w+", listed[1]), noun})
    inside = ", ".join(nouns) + "," * (len(nouns) == 1)
    change(manifest, re.escape(listed[0]), f"operations=({inside})")


def add_operation(names: Names, name: str, noun: str) -> None:
    """Write the blanks of an operation."""
    model = load(names.model).operations.get(name)
    if model is None:
        raise Refusal(f"the model of {names.model} has no operation {name}")
    noun = noun or noun_of(model)
    for path in (SERVICES / names.package / "operations").glob("*.py"):
        if f"async def {model.function}(" in path.read_text("utf-8"):
            raise Refusal(f"{path.relative_to(ROOT)} has {model.function} already")
    path = SERVICES / names.package / "operations" / f"{noun}.py"
    if path.exists():
        path.write_text(path.read_text("utf-8") + function_of(names, model), "utf-8")
        complete(path, names)
        print(f"changed {path.relative_to(ROOT)}")
    else:
        write(path, module_head(names, model, noun) + function_of(names, model))
        mention(names, noun)
    add_test(names, model, noun)


def complete(path: Path, names: Names) -> None:
    """Add the imports that a begun operation needs to a module that stands."""
    text = path.read_text("utf-8")
    if "import NotBuilt" not in text:
        text = text.replace(FUTURE, f"{FUTURE}\nfrom fogbank.base.errors import NotBuilt\n", 1)
    if "-> Wire:" in text and "import Wire" not in text and ", Wire" not in text:
        text = text.replace(FUTURE, f"{FUTURE}\nfrom fogbank.base.types import Wire\n", 1)
    if "shapes." in text and "as shapes" not in text:
        text = text.replace(
            FUTURE,
            f"{FUTURE}\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n"
            f"    from fogbank.wire.shapes import {names.package} as shapes\n",
            1,
        )
    path.write_text(text, "utf-8")


def add_test(names: Names, model: OperationModel, noun: str) -> None:
    """Write, or add, the wire test of a begun operation."""
    path = ROOT / "tests/wire" / names.package / f"test_{noun}.py"
    members = ", ".join(f"{member}=None" for member in model.required)
    test = (
        f"\n\ndef test_{model.function}_is_not_built_yet(cloud: Cloud) -> None:\n"
        "    unchecked = Config(parameter_validation=False)\n"
        f'    client = cloud.client("{names.model}", config=unchecked)\n'
        f'    with pytest.raises(ClientError, match="fogbank has not built {names.model}:{model.name}"):\n'
        f"        client.{model.function}({members})\n"
    )
    imports = (
        f"{FUTURE}\nimport pytest\nfrom botocore.config import Config\n"
        "from botocore.exceptions import ClientError\n\nfrom fogbank.testing.cloud import Cloud\n"
    )
    if path.exists():
        text = path.read_text("utf-8").replace(FUTURE, imports, 1)
        path.write_text(text + test, "utf-8")
        print(f"changed {path.relative_to(ROOT)}")
    else:
        write(path, imports + test)


# Both.


def finish() -> None:
    """Put what was written into form and write what is generated from it."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    for words in (
        [
            ruff,
            "check",
            "--quiet",
            "--fix",
            "--select",
            "I,F401,F811",
            "src/fogbank/services",
            "tests/wire",
        ],
        [ruff, "format", "--quiet", "src/fogbank", "tests/wire"],
        *([sys.executable, f"tools/{name}.py"] for name in GENERATORS),
    ):
        subprocess.run(words, cwd=ROOT, check=True)  # noqa: S603 (our own tools)


def names_of(package: str, model: str) -> Names:
    """Return the names of a service, its title as the model has it."""
    raw = load(model).metadata
    title: str = raw.get("serviceAbbreviation") or raw["serviceFullName"]
    return Names(package, model, re.sub(r"^(Amazon|AWS) ", "", title))


def standing(name: str) -> Names:
    """Return the names of a service that stands, by its package or by its model's name."""
    manifests = {path.parent.name: path for path in sorted(SERVICES.glob("*/__init__.py"))}
    models = {
        package: re.findall(r'model="([\w-]+)"', path.read_text("utf-8"))[0]
        for package, path in manifests.items()
    }
    for package, model in models.items():
        if name in {package, model}:
            return names_of(package, model)
    raise Refusal(f"there is no service {name}: there are {', '.join(sorted(models.values()))}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the blanks that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    service = kinds.add_parser("service", help="a package and everything that names it")
    service.add_argument("name", help="the package, as sqs")
    service.add_argument("--model", required=True, help="botocore's name of the service")
    operation = kinds.add_parser("operation", help="a function and its wire test")
    operation.add_argument("service", help="as its model is called, or the package")
    operation.add_argument("operation", help="as the API names it, as CreateQueue")
    operation.add_argument(
        "--noun", default="", help="the module; by the operation's name if not given"
    )
    given = parser.parse_args(arguments)
    try:
        if given.kind == "service":
            add_service(names_of(given.name, given.model))
        else:
            add_operation(standing(given.service), given.operation, given.noun)
        finish()
    except Refusal as refusal:
        print(f"scaffold: {refusal}", file=sys.stderr)
        return 1
    print("now: write the function, remove begun=True, prove it in the wire test, run tools/check")
    print("and: what the contract tests cannot make up is in tests/contracts/{made_up,seeds}.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
