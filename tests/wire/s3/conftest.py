from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def unblocked(client: Any) -> Callable[..., Any]:
    """Return a way to make a bucket of which nothing is blocked."""

    def make(name: str, ownership: str = "ObjectWriter", **more: Any) -> Any:
        made = client("s3", **more)
        made.create_bucket(Bucket=name, ObjectOwnership=ownership)
        made.delete_public_access_block(Bucket=name)
        return made

    return make
