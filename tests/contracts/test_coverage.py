"""Every operation is called in a wire test, or stands in uncovered.txt, which may only shrink."""

from __future__ import annotations

import re
from pathlib import Path

from fogbank.server.roster import ROSTER, services

HERE = Path(__file__).parent
WIRE = HERE.parent / "wire"


def uncovered() -> set[str]:
    lines = (HERE / "uncovered.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_every_operation_is_called_in_a_wire_test() -> None:
    missing = set()
    for package, service in zip(ROSTER, services(), strict=True):
        text = "".join(path.read_text() for path in (WIRE / package).glob("*.py"))
        # Called, or handed to what calls it and hears the refusal.
        called = set(re.findall(r"\.(\w+)(?=[(,)])", text)) | set(
            re.findall(r"get_paginator\(\"(\w+)\"", text)
        )
        missing |= {f"{service.model}.{name}" for name in service.functions if name not in called}
    assert missing == uncovered()
