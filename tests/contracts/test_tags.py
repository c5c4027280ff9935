"""What of resources policies can speak of: their services say it, so that the gateway looks it up."""

from __future__ import annotations

import pytest
from tests.contracts.registry import OPERATIONS, Built, botocore_model

from fogbank.platform.iam.keys import STORED, TAGS, stored_among
from fogbank.server.roster import services

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


def test_every_key_that_lies_in_the_store_has_a_service_that_looks_it_up() -> None:
    for service in services():
        if service.stored_keys is not None:
            names = service.stored_keys.names
            assert stored_among(names) == names, "a key is looked up before a decision"
            assert all(name.startswith(f"{service.prefix}:") for name in names)
    known = {name for each in services() if each.stored_keys for name in each.stored_keys.names}
    assert stored_among({*known, "aws:resourcetag/", "s3:prefix"}) == {*known, TAGS}
    assert known == STORED
