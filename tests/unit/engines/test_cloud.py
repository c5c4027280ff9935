"""A backup set is noted as one cloud's, whoever comes at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fogbank.engines.embedded import cloud
from fogbank.engines.embedded.cloud import AnotherClouds, claim_set


@pytest.mark.parametrize("other", [1, 2])
def test_who_comes_while_a_set_is_noted_waits_and_finds_the_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    refused: list[AnotherClouds] = []
    written: list[int] = []
    write = cloud.write_note

    def come() -> None:
        try:
            claim_set(tmp_path, other)
        except AnotherClouds as error:
            refused.append(error)

    comer = threading.Thread(target=come)

    def write_slowly(path: Path, note: dict[str, int]) -> None:
        written.append(note["id"])
        if len(written) == 1:
            comer.start()
            comer.join(0.2)  # it waits for the lock, or it would note the set as its own
        write(path, note)

    monkeypatch.setattr(cloud, "write_note", write_slowly)
    claim_set(tmp_path, 1)
    comer.join()
    assert written == [1]
    assert len(refused) == (other != 1)
    with pytest.raises(AnotherClouds):
        claim_set(tmp_path, 3)
