"""Which tags may be.

Source: answers of AWS recorded by LocalStack (tests/aws/services/s3/test_s3_api.snapshot.json,
test_tagging_validation); AWS Billing User Guide, "User-Defined Tag Restrictions".
"""

from __future__ import annotations

from typing import Any

import pytest

from fogbank.base.errors import ServiceError
from fogbank.services.s3.rules import tags
from fogbank.services.s3.schema import Tag


def given(*pairs: tuple[str, str]) -> Any:
    return [{"Key": key, "Value": value} for key, value in pairs]


def refused(kind: tags.Kind, what: Any) -> tuple[str, str, Any]:
    with pytest.raises(ServiceError) as caught:
        tags.tags_of(what, kind)
    return caught.value.code, caught.value.message, caught.value.members


def test_tags_come_in_order_of_their_keys() -> None:
    found = tags.tags_of(given(("b", "1"), ("a", "2")), tags.OBJECT)
    assert found == (Tag("a", "2"), Tag("b", "1"))
    assert tags.tag_set(found) == given(("a", "2"), ("b", "1"))


def test_letters_digits_spaces_and_some_signs_may_be_in_tags() -> None:
    whole = "Straße 京都 09 _.:/=+-@"
    assert tags.tags_of(given((whole, whole)), tags.BUCKET) == (Tag(whole, whole),)
    longest = ("k" * 128, "v" * 256)
    assert tags.tags_of(given(longest), tags.OBJECT) == (Tag(*longest),)


@pytest.mark.parametrize("kind", [tags.BUCKET, tags.OBJECT])
@pytest.mark.parametrize("key", ["", "k" * 129, "a,b", "a\tb", "a\u0301", "{"])
def test_a_key_that_cannot_be_is_refused(kind: tags.Kind, key: str) -> None:
    message = "The TagKey you have provided is invalid"
    assert refused(kind, given((key, "v"))) == ("InvalidTag", message, {"TagKey": key})


@pytest.mark.parametrize("value", ["v" * 257, "a,b", "a\nb", "*"])
def test_a_value_that_cannot_be_is_refused(value: str) -> None:
    message = "The TagValue you have provided is invalid"
    members = {"TagKey": "k", "TagValue": value}
    assert refused(tags.BUCKET, given(("k", value))) == ("InvalidTag", message, members)


def test_keys_are_given_once_and_are_not_of_the_system() -> None:
    twice = "Cannot provide multiple Tags with the same key"
    assert refused(tags.BUCKET, given(("k", "1"), ("k", "2"))) == (
        "InvalidTag",
        twice,
        {"TagKey": "k"},
    )
    system = given(("aws:k", "v"))
    assert refused(tags.BUCKET, system)[1] == "System tags cannot be added/updated by requester"
    assert refused(tags.OBJECT, system)[1] == "Your TagKey cannot be prefixed with aws:"


def test_an_object_has_at_most_ten_tags() -> None:
    ten = given(*((f"k{number}", "v") for number in range(10)))
    assert len(tags.tags_of(ten, tags.OBJECT)) == 10
    assert refused(tags.OBJECT, [*ten, *given(("x", "v"))])[:2] == (
        "BadRequest",
        "Object tags cannot be greater than 10",
    )
