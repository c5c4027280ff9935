"""What can be wrong with the content of a file."""

from __future__ import annotations


class Unreadable(Exception):
    """A record is none in its format; those behind it may be.

    Args:
        message: What is wrong, as it is told to who owns the file.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Malformed(Unreadable):
    """A file is none in its format: nothing behind this place can be read."""
