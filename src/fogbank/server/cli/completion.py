"""``fogbank completion``: the shell's completion, generated from the parsers themselves.

Rule: a word is completed because a parser takes it. ``eval "$(fogbank completion bash)"`` in a
shell's start file, or the output in the place where the shell looks for completions.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from fogbank.server.cli import COMMANDS, parser

SHELLS: Final = ("bash", "zsh", "fish")
_FILES: Final = {"FILE", "DIR", "PATH"}


def arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    command.add_argument("shell", choices=SHELLS)


def run(given: argparse.Namespace) -> int:
    """Print the completion of one shell."""
    commands = list(commands_of(parser(COMMANDS), ()))
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[given.shell](commands))
    return 0


class Option(NamedTuple):
    """One option, or one place that takes certain words."""

    names: tuple[str, ...]
    """Empty for a place."""
    choices: tuple[str, ...]
    meaning: str
    takes: str
    """What stands for its value in the help; empty for a switch."""


class Command(NamedTuple):
    """One command or the top, by its words."""

    words: tuple[str, ...]
    subcommands: tuple[tuple[str, str], ...]
    """Name and meaning of each command below."""
    options: tuple[Option, ...]

    def candidates(self) -> list[str]:
        """Return everything that may stand next."""
        places = [word for option in self.options if not option.names for word in option.choices]
        names = [name for option in self.options for name in option.names]
        return [name for name, _ in self.subcommands] + places + names


def commands_of(top: argparse.ArgumentParser, words: tuple[str, ...]) -> Iterator[Command]:
    """Yield a parser and every parser below it."""
    below: list[tuple[str, argparse.ArgumentParser]] = []
    meanings: list[tuple[str, str]] = []
    options: list[Option] = []
    for action in top._actions:  # noqa: SLF001 (argparse shows its tree in no other way)
        if isinstance(action.choices, dict):  # the only choices that are one: parsers by name
            tree = cast("dict[str, argparse.ArgumentParser]", action.choices)
            below += tree.items()
            meanings += [(name, each.description or "") for name, each in tree.items()]
            continue
        takes = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
        choices = tuple(str(choice) for choice in action.choices or ())
        options.append(Option(tuple(action.option_strings), choices, action.help or "", takes))
    yield Command(words, tuple(meanings), tuple(options))
    for name, sub in below:
        yield from commands_of(sub, (*words, name))


class _Words(NamedTuple):
    """How a shell says what may stand next."""

    these: str
    """Offers the words in ``{}``, which is one quoted text."""
    files: str
    none: str


def _cases(commands: list[Command], shell: _Words) -> tuple[str, list[str], list[str]]:
    """Return the names of all commands as a pattern, and what may follow options and commands."""
    names = sorted({" ".join(command.words) for command in commands})
    values: list[str] = []
    words: list[str] = []
    for command in commands:
        place = " ".join(command.words)
        reply = shell.these.format(shlex.quote(" ".join(command.candidates())))
        words.append(f"    {shlex.quote(place)}) {reply};;")
        for option in command.options:
            for name in option.names if option.takes else ():
                case = shlex.quote(f"{place}|{name}")
                if option.choices:
                    reply = shell.these.format(shlex.quote(" ".join(option.choices)))
                else:
                    reply = shell.files if option.takes in _FILES else shell.none
                values.append(f"    {case}) {reply}; return;;")
    return "|".join(shlex.quote(name) for name in names if name), values, words


def _bash(commands: list[Command]) -> str:
    """Return the function that bash asks: find the command, then its words."""
    these = 'COMPREPLY=($(compgen -W {} -- "$current"))'
    shell = _Words(these, 'COMPREPLY=($(compgen -f -- "$current"))', "COMPREPLY=()")
    names, values, words = _cases(commands, shell)
    return "\n".join(
        [
            "_fogbank() {",
            '  local current="${COMP_WORDS[COMP_CWORD]}" place="" word',
            '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            '    case "${place:+$place }$word" in',
            f'      {names}) place="${{place:+$place }}$word";;',
            "    esac",
            "  done",
            '  case "$place|${COMP_WORDS[COMP_CWORD-1]}" in',
            *values,
            "  esac",
            '  case "$place" in',
            *words,
            "  esac",
            "}",
            "complete -F _fogbank fogbank",
        ]
    )


def _zsh(commands: list[Command]) -> str:
    """Return the function that zsh asks, and have it asked, also where nothing is completed yet."""
    shell = _Words("compadd -- ${{(z):-{}}}", "_files", "true")
    names, values, words = _cases(commands, shell)
    return "\n".join(
        [
            "#compdef fogbank",
            "_fogbank() {",
            '  local place="" word',
            '  for word in "${(@)words[2,CURRENT-1]}"; do',
            '    case "${place:+$place }$word" in',
            f'      {names}) place="${{place:+$place }}$word";;',
            "    esac",
            "  done",
            '  case "$place|${words[CURRENT-1]}" in',
            *values,
            "  esac",
            '  case "$place" in',
            *words,
            "  esac",
            "}",
            "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }",
            "compdef _fogbank fogbank",
        ]
    )


def _fish(commands: list[Command]) -> str:
    """Return one line per word; fish tests by the words that it has seen."""
    lines = ["complete -c fogbank -f"]
    for command in commands:
        seen = " ".join(command.words)
        others = " ".join(name for name, _ in command.subcommands)
        test = (
            f"__fish_seen_subcommand_from {command.words[-1]}" if seen else "__fish_use_subcommand"
        )
        if len(command.words) > 1:
            test = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.words)
        below = f"{test}; and not __fish_seen_subcommand_from {others}" if others and seen else test
        for name, meaning in command.subcommands:
            lines.append(_fish_line(below, f"-a {name}", meaning))
        for option in command.options:
            if not option.names:
                if option.choices:
                    lines.append(
                        _fish_line(test, f"-a {shlex.quote(' '.join(option.choices))}", "")
                    )
                continue
            form = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in option.names
            )
            if option.choices:
                form += f" -x -a {shlex.quote(' '.join(option.choices))}"
            elif option.takes:
                form += " -r -F" if option.takes in _FILES else " -x"
            lines.append(_fish_line(test, form, option.meaning))
    return "\n".join(lines)


def _fish_line(test: str, form: str, meaning: str) -> str:
    """Return one completion under a condition."""
    about = f" -d {shlex.quote(meaning)}" if meaning else ""
    return f"complete -c fogbank -n {shlex.quote(test)} {form}{about}"
