"""Forms of ``multipart/form-data``: fields, and then one file, as bytes come.

Rule: nothing is kept but the fields, up to a bound; the bytes of the file are handed on as they come, all
but a few that may be the begin of a delimiter. Every failure is a ``MalformedForm``, and what follows
the file is not looked at.

Source: RFC 7578, RFC 2046 (section 5.1.1); Amazon S3 API Reference, "Browser-based uploads using POST".
"""

from __future__ import annotations

import enum
import re
from typing import Final

FIELDS_BYTES_MAX: Final = 20_000
"""AWS: "the form data and boundaries (excluding the contents of the file) cannot exceed 20K"."""
BOUNDARY_CHARACTERS_MAX: Final = 70
FILE: Final = "file"
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;",]{1,200}))', re.IGNORECASE)
_NAME: Final = re.compile(r';\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_FILENAME: Final = re.compile(r';\s*filename=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"


class MalformedForm(Exception):
    """The bytes are not a form."""


class FormTooLong(Exception):
    """The fields before the file pass their bound."""


class _At(enum.Enum):
    """What comes next."""

    DELIMITER = enum.auto()
    HEAD = enum.auto()
    FIELD = enum.auto()
    FILE = enum.auto()
    END = enum.auto()


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names.

    Raises:
        MalformedForm: It names none, or none that can be one.
    """
    found = _BOUNDARY.search(content_type)
    text = "" if found is None else found[1] or found[2]
    if not text or len(text) > BOUNDARY_CHARACTERS_MAX or not text.isascii():
        raise MalformedForm("there is no boundary")
    return text.encode()


class FormParser:
    """Takes the bytes of one form.

    Args:
        boundary: What parts its parts.
        fields_bytes_max: How many bytes may come before the file's.
    """

    def __init__(self, boundary: bytes, fields_bytes_max: int = FIELDS_BYTES_MAX) -> None:
        self.fields: list[tuple[str, str]] = []
        """Names as they were sent, and values, in order."""
        self.filename = ""
        """What the client calls its file, without folders."""
        self._delimiter = _LINE_END + b"--" + boundary
        self._left = fields_bytes_max
        # The first delimiter has no line before it that it could end.
        self._buffer = bytearray(_LINE_END)
        self._at = _At.DELIMITER
        self._name = ""

    @property
    def has_file(self) -> bool:
        """Return whether the file has begun: what is fed then is of it."""
        return self._at is _At.FILE or (self._at is _At.END and self._name == FILE)

    @property
    def is_over(self) -> bool:
        """Return whether the last byte of the file, or of the form, has come."""
        return self._at is _At.END

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return those of them, and of earlier ones, that are the file's.

        Raises:
            MalformedForm: They are not a form's.
            FormTooLong: The fields are too long.
        """
        if self._at is _At.END:
            return b""
        if self._at is not _At.FILE:
            self._left -= len(data)
        self._buffer += data
        while self._at not in (_At.FILE, _At.END):
            if not self._step():
                self._check_length()
                return b""
        if self._at is _At.FILE:
            return self._of_file()
        return b""

    def finish(self) -> None:
        """Refuse a form that breaks off before the end of its file.

        Raises:
            MalformedForm: It does.
        """
        if self._at is not _At.END:
            raise MalformedForm("the form breaks off")

    def _check_length(self) -> None:
        """Refuse fields that pass their bound."""
        if self._left < 0:
            raise FormTooLong

    def _step(self) -> bool:
        """Take one element off the buffer; return whether there was a whole one."""
        if self._at is _At.DELIMITER:
            return self._take_delimiter()
        if self._at is _At.HEAD:
            return self._take_head()
        return self._take_field()

    def _take_delimiter(self) -> bool:
        """Take the first delimiter, and what precedes it, or the end of its line."""
        found = self._buffer.find(self._delimiter)
        if found < 0:
            return False
        line = found + len(self._delimiter)
        end = self._buffer.find(_LINE_END, line)
        if self._buffer.startswith(b"--", line):
            self._at = _At.END
            return True
        if end < 0:
            return False
        if self._buffer[line:end].strip(b" \t"):
            raise MalformedForm("a delimiter goes on")
        # The line's end stays: a head without headers begins with the line that ends it.
        del self._buffer[:end]
        self._at = _At.HEAD
        return True

    def _take_head(self) -> bool:
        """Take the headers of a part."""
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return False
        head = self._buffer[:end].decode("utf-8", "replace")
        del self._buffer[: end + len(_HEAD_END)]
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                self._begin_part(value)
                return True
        raise MalformedForm("a part has no name")

    def _begin_part(self, disposition: str) -> None:
        """Note what comes next."""
        found = _NAME.search(disposition)
        if found is None:
            raise MalformedForm("a part has no name")
        self._name = _unquoted(found)
        if self._name.lower() != FILE:
            self._at = _At.FIELD
            return
        self._name = FILE
        named = _FILENAME.search(disposition)
        if named is not None:
            # AWS: browsers that send a path mean the name behind its last slash.
            self.filename = _unquoted(named).replace("\\", "/").rpartition("/")[2]
        self._at = _At.FILE
        # What came with the head of the file is of the file, and not of the fields.
        self._left += len(self._buffer)
        self._check_length()

    def _take_field(self) -> bool:
        """Take the value of a field; its delimiter stays."""
        end = self._buffer.find(self._delimiter)
        if end < 0:
            return False
        try:
            self.fields.append((self._name, self._buffer[:end].decode()))
        except UnicodeDecodeError as error:
            raise MalformedForm("a field is not in UTF-8") from error
        del self._buffer[:end]
        self._at = _At.DELIMITER
        return True

    def _of_file(self) -> bytes:
        """Return what is certainly of the file, and leave what may be its delimiter."""
        end = self._buffer.find(self._delimiter)
        if end >= 0:
            self._at = _At.END
        else:
            end = max(len(self._buffer) - len(self._delimiter) + 1, 0)
        piece = bytes(self._buffer[:end])
        del self._buffer[:end]
        return piece


def _unquoted(found: re.Match[str]) -> str:
    """Return the value of a parameter, without its quotes."""
    quoted: str | None = found[1]
    if quoted is None:
        return str(found[2])
    return re.sub(r"\\([\"\\])", r"\1", quoted)
