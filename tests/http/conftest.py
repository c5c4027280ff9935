from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fogbank.testing.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server on a free port, shared by the tests over sockets."""
    with Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user can reach, as pytest's own are not: code at level 4 needs it."""
    with tempfile.TemporaryDirectory(prefix="fogbank-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
