"""Small durable files with a check.

A *note* is a file of ``name value`` lines that ends in the CRC-32C of what stands above: the
store's format and incarnation, the blob store's numbers. It is replaced whole: write another file,
sync it, rename it over the old one, sync the folder. A note that is not exactly what ``write_note``
makes of its own content is damage.
"""

from __future__ import annotations

from pathlib import Path

from awscrt.checksums import crc32c

from fogbank.base.errors import Corrupt
from fogbank.engines.embedded.files import replace_file


def _note_text(values: dict[str, int]) -> bytes:
    """Return the bytes of a note."""
    text = "".join(f"{name} {value}\n" for name, value in values.items()).encode()
    return text + f"check {crc32c(text):08x}\n".encode()


def write_note(path: Path, values: dict[str, int]) -> None:
    """Replace a note durably."""
    replace_file(path, _note_text(values))


def find_note(path: Path) -> dict[str, int] | None:
    """Return the values of a note, or None if there is no such file.

    Raises:
        Corrupt: The file is not what was written.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        lines = [line.split(" ") for line in raw.decode("ascii").splitlines()[:-1]]
        values = {name: int(value) for name, value in lines}
    except ValueError:
        values = {}
    if raw != _note_text(values):
        raise Corrupt(f"{path} is not what was written")
    return values
