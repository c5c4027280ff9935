"""A service whose resources get tags says which they have, so that policies can speak of them."""

from __future__ import annotations

import pytest
from tests.contracts.registry import OPERATIONS, Built, botocore_model

SESSIONS = {"sts"}
"""Tags of sessions are the caller's and no resource's: aws:PrincipalTag."""
_TAGS = {"Tags", "tags", "TagSet", "Tagging"}


def takes_tags(built: Built) -> bool:
    """Return whether an operation acts on tags that a request gives."""
    shape = botocore_model(built.service.model).operation_model(built.model.name).input_shape
    members = set() if shape is None else set(shape.members) - set(built.declared.unhonoured)
    return bool(members & _TAGS)


@pytest.mark.parametrize("built", [one for one in OPERATIONS if takes_tags(one)], ids=str)
def test_who_takes_tags_tells_the_gateway_of_them(built: Built) -> None:
    if built.service.model not in SESSIONS:
        assert built.service.tags is not None
