from __future__ import annotations

from collections.abc import Iterator

import pytest

from fogbank.testing.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server on a free port, shared by the tests over sockets."""
    with Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running
