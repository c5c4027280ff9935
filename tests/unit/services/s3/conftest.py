from __future__ import annotations

import pytest
from tests.unit.services.s3.world import World


@pytest.fixture(params=[False, True], ids=["once", "replay"])
def world(request: pytest.FixtureRequest) -> World:
    return World(replay=request.param)
