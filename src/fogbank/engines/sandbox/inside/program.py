"""Executes a program in the finished sandbox: a function's own, or an interpreter of another kind.

Rule: what was our interpreter is gone with the call; nothing of it is left but the limits, the
identity and the filters. Where that fails the words are those of AWS's: it starts ``bootstrap``
from a Go program.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

FRAMES_FD = 3
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


class NoEntryError(Exception):
    """There is nothing that can be executed; the message says why."""


def execute(head: dict[str, Any], task: str, tmp: str) -> NoReturn:
    """Become the first of a list of programs that is there.

    Args:
        head: ``candidates`` (paths), ``arguments``, ``environment``, and ``frames``: whether the
            program speaks frames, and so keeps their descriptor; ``wrapper``: what is executed
            in its place, with it as arguments, or nothing.
        task: Where the function's code lies, and the program begins.
        tmp: A folder for its files where ``/tmp`` is not its own; or nothing.

    Raises:
        NoEntryError: None is there, or it cannot be executed.
    """
    environment: dict[str, str] = {**head["environment"]}
    if tmp:
        environment["TMPDIR"] = tmp
    os.umask(0o022)
    os.chdir(task)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.set_inheritable(FRAMES_FD, bool(head["frames"]))
    for path in head["candidates"]:
        if not Path(path).is_file():
            continue
        words = [path, *head["arguments"]]
        wrapper = head["wrapper"]
        if wrapper:
            _require_wrapper(wrapper)
            words.insert(0, wrapper)
        try:
            os.execve(words[0], words, environment)  # noqa: S606 (no shell is wanted)
        except OSError as error:
            raise NoEntryError(f"fork/exec {words[0]}: {(error.strerror or '').lower()}") from None
    raise NoEntryError(f"Couldn't find valid bootstrap(s): [{' '.join(head['candidates'])}]")


def _require_wrapper(path: str) -> None:
    """End as AWS's bootstrap does where its wrapper script is not there, or cannot be executed."""
    status = 0 if Path(path).is_file() else _NOT_FOUND
    if status or not os.access(path, os.X_OK):
        why = "does not exist" if status else "is not an executable"
        os.write(1, f"{path}: {why}\n".encode())
        os._exit(status or _NOT_EXECUTABLE)
