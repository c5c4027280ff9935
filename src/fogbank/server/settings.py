"""The tree of settings, derived from ``Config``: names, variables, types, meanings, origins.

Rule: nothing about a setting is written twice. Its name is its place in ``Config``, its variable
follows from the name (``limits.connections_max`` is ``FOGBANK_LIMITS_CONNECTIONS_MAX``), its
meaning is the text below the field. ``fogbank config`` and docs/operating/settings.md print what
stands here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Annotated, Any, Final, NamedTuple, cast, get_args, get_origin, get_type_hints

import msgspec

from fogbank.contract.quota import Quota

ENVIRONMENT_PREFIX: Final = "FOGBANK_"
QUOTAS: Final = "quotas"
"""The one table whose keys are not fields: limits of services, which the services declare."""
SECRET: Final = msgspec.Meta(extra={"secret": True})
"""Marks a setting whose value is never printed: ``key: Annotated[str, SECRET] = ""``."""
MASK: Final = "********"

Path = tuple[str, ...]


class Setting(NamedTuple):
    """One setting."""

    path: Path
    type: str
    """``text``, ``number``, ``yes or no``, ``list of text``, or the allowed words."""
    default: Any
    secret: bool
    declared: type[msgspec.Struct] | None = None
    """Where the field stands, with its meaning below it."""

    @property
    def name(self) -> str:
        """Return the name, with dots, as the file nests it."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it."""
        return variable_of(self.path)

    @property
    def meaning(self) -> str:
        """Return the text below the field; read from the source, so only for whoever is shown it."""
        return "" if self.declared is None else meanings_of(self.declared).get(self.path[-1], "")


def variable_of(path: Path) -> str:
    """Return the environment variable of a setting, derived from its place."""
    return ENVIRONMENT_PREFIX + "_".join(path).replace(".", "_").upper()


def tree_of(config: type[msgspec.Struct]) -> dict[Path, Setting]:
    """Return all settings of a structure and the structures in it, in order of appearance."""
    return {setting.path: setting for setting in _settings_of(config, ())}


def _settings_of(struct: type[msgspec.Struct], above: Path) -> Iterator[Setting]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        path = (*above, field.name)
        if path == (QUOTAS,):
            continue
        hint = hints[field.name]
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            yield from _settings_of(bare, path)
            continue
        secret = SECRET in get_args(hint)[1:]
        yield Setting(path, _type_name(bare), field.default, secret, struct)


def _type_name(hint: Any) -> str:
    """Return a type in an operator's words."""
    names = {str: "text", int: "number", bool: "yes or no"}
    if hint in names:
        return names[hint]
    if get_origin(hint) is tuple:
        return f"list of {_type_name(get_args(hint)[0])}"
    return " | ".join(str(word) for word in get_args(hint))


@cache
def meanings_of(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return the text below each field of a structure, on one line."""
    import ast  # noqa: PLC0415 (a start needs no meanings)
    import inspect  # noqa: PLC0415 (as above)

    tree = ast.parse(inspect.getsource(struct))
    body = cast("ast.ClassDef", tree.body[0]).body
    meanings: dict[str, str] = {}
    for field, below in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(below, ast.Expr):
            continue
        name, text = field.target, below.value
        if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
            meanings[name.id] = " ".join(str(text.value).split())
    return meanings


@cache
def quotas() -> Mapping[str, Quota]:
    """Return every limit that a service declares, by name; loads the services."""
    from fogbank.server.roster import ROSTER  # noqa: PLC0415 (it brings the contract)

    found: dict[str, Quota] = {}
    for package in ROSTER:
        words = vars(import_module(f"fogbank.services.{package}.quotas"))
        found.update((each.name, each) for each in words.values() if isinstance(each, Quota))
    return dict(sorted(found.items()))


def unknown(name: str, known: Iterator[str] | list[str]) -> str:
    """Return the refusal of a name that is no setting, with the nearest that is one."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "")


def rows(config: msgspec.Struct, origins: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Yield every setting and every limit of a service with value and origin, secrets masked."""
    for setting in tree_of(type(config)).values():
        value: Any = config
        for key in setting.path:
            value = getattr(value, key)
        yield _row(setting, value, origins, setting.meaning)
    given = cast("Mapping[str, int]", getattr(config, QUOTAS))
    for name, quota in quotas().items():
        value = given.get(name, quota.default)
        setting = Setting((QUOTAS, name), "number", quota.default, secret=False)
        yield _row(setting, value, origins, quota.source)


def _row(
    setting: Setting, value: Any, origins: Mapping[str, str], meaning: str
) -> Mapping[str, Any]:
    return {
        "name": setting.name,
        "variable": setting.variable,
        "type": setting.type,
        "value": MASK if setting.secret and value else value,
        "origin": origins.get(setting.name, "default"),
        "default": setting.default,
        "meaning": meaning,
    }


def page(config: msgspec.Struct, short_names: Mapping[str, str]) -> str:
    """Return docs/operating/settings.md."""
    lines = [
        "# Settings",
        "",
        "Generated by `tools/settings.py` from `server/config.py`; do not edit. `fogbank config`",
        "prints every setting with its value, its origin and its meaning.",
        "",
        "The later wins: default, `fogbank.toml` (in the data directory, or `--config FILE`, or",
        "`$FOGBANK_CONFIG`), environment, command line. A key or variable that is no setting is an",
        "error that names it and the nearest that is one. Lists in variables are split at commas.",
    ]
    table = None
    shorts = {name: variable for variable, name in short_names.items()}
    for row in sorted(rows(config, {}), key=lambda row: row["name"].split(".")[:-1]):
        above = row["name"].partition(".")[0] if "." in row["name"] else ""
        if above != table:
            table = above
            lines += ["", f"## {f'[{table}]' if table else 'Top level'}", ""]
            lines += [
                "| setting | variable | type | default | meaning |",
                "| --- | --- | --- | --- | --- |",
            ]
        key = row["name"].removeprefix(f"{above}.")
        variable = f"`{row['variable']}`"
        if row["name"] in shorts:
            variable += f" or `{shorts[row['name']]}`"
        default = json.dumps(row["default"], ensure_ascii=False)
        words = str(row["type"]).replace("|", "\\|")
        lines.append(
            f"| `{key}` | {variable} | {words} | `{default}` | {row['meaning'].replace('``', '`')} |"
        )
    return "\n".join(lines) + "\n"
