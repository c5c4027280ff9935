"""Constraints: the compiled check agrees with the walk, and the words are AWS's."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from fogbank.base.errors import ServiceError
from fogbank.wire.compile import codec_of
from fogbank.wire.http import HttpRequest
from fogbank.wire.model import Ref, load
from fogbank.wire.patterns import compiled
from fogbank.wire.validate import Validator

SERVICES = ("s3", "dynamodb", "lambda", "logs", "iam", "sts")


def _refused(service: str, operation: str, body: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        codec_of(service).decode(operation, HttpRequest("POST", "/", "", {}, body), {})
    return caught.value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b"{}",
            (
                "2 validation errors detected: "
                "Value null at 'tableName' failed to satisfy constraint: Member must not be null; "
                "Value null at 'item' failed to satisfy constraint: Member must not be null"
            ),
        ),
        (
            b'{"TableName":"","Item":{}}',
            (
                "1 validation error detected: Value '' at 'tableName' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            b'{"TableName":"abc","Item":{},"ReturnConsumedCapacity":"hi"}',
            (
                "1 validation error detected: Value 'hi' at 'returnConsumedCapacity' failed to satisfy "
                "constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
            ),
        ),
    ],
)
def test_dynamodb_tells_violations_in_its_words(body: bytes, text: str) -> None:
    error = _refused("dynamodb", "PutItem", body)
    assert (error.code, error.message) == ("ValidationException", text)


def test_paths_of_nested_violations_name_every_step() -> None:
    error = _refused(
        "dynamodb",
        "BatchWriteItem",
        b'{"RequestItems":{"abc":[{"PutRequest":{}}]},"ReturnConsumedCapacity":"TOTAL"}',
    )
    assert "at 'requestItems.abc.member.1.member.putRequest.item'" in error.message


def test_at_most_ten_violations_are_told() -> None:
    keys = b",".join([b"{}"] * 20)
    error = _refused(
        "dynamodb", "CreateTable", b'{"TableName":"abcd","AttributeDefinitions":[%s]}' % keys
    )
    assert error.message.startswith("10 validation errors detected: ")
    assert error.message.count("; ") == 9


def test_a_table_that_is_missing_is_told_in_other_words() -> None:
    error = _refused("dynamodb", "DescribeTable", b"{}")
    assert error.message == (
        "The parameter 'TableName' is required but was not present in the request"
    )


def test_logs_answer_invalid_parameter() -> None:
    error = _refused("logs", "CreateLogGroup", b'{"logGroupName":"a b"}')
    assert error.code == "InvalidParameterException"
    assert error.message == (
        "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"
    )


def test_iam_has_words_of_its_own_for_names() -> None:
    error = _refused("iam", "CreateUser", b"Action=CreateUser&Version=2010-05-08&UserName=a%20b")
    assert error.code == "ValidationError"
    assert error.message == (
        "The specified value for userName is invalid. It must contain only alphanumeric characters "
        "and/or the following: +=,.@_-"
    )


def test_scalars_in_lists_and_maps_are_told_with_all_that_is_demanded() -> None:
    error = _refused("logs", "TagLogGroup", b'{"logGroupName":"g","tags":{"":"v"}}')
    assert (
        "Map keys must satisfy constraint: [Member must have length less than or equal to 128"
        in (error.message)
    )
    error = _refused("logs", "UntagLogGroup", b'{"logGroupName":"g","tags":["\\u0007"]}')
    assert "Value '[\u0007]' at 'tags' failed to satisfy constraint: Member must satisfy" in (
        error.message
    )


def test_sensitive_values_are_not_repeated() -> None:
    body = b"Action=ChangePassword&Version=2010-05-08&OldPassword=secret&NewPassword="
    error = _refused("iam", "ChangePassword", body)
    assert "secret" not in error.message
    assert "Value at 'newPassword' failed" in error.message


def test_every_pattern_of_the_six_services_can_be_expressed() -> None:
    lost = {
        (service, name)
        for service in SERVICES
        for name in load(service).shape_names
        if (pattern := load(service).shape(name).raw.get("pattern")) and compiled(pattern) is None
    }
    assert lost == set()


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "ключ é 1_.:/=+-@", "a\tb"),
        (r"\p{Print}+", "a b~", "é"),
        (r"[\w-_]*", "a-b_c", "a b"),
        (r"[\w+=,.@-]+", "a@b", "é"),
        (r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "a1", "11"),
        (r"[a-z[A-Z]", "[", "]"),
    ],
)
def test_patterns_mean_what_java_means(pattern: str, good: str, bad: str) -> None:
    regex = compiled(pattern)
    assert regex is not None
    assert regex.fullmatch(good)
    assert not regex.fullmatch(bad)


class _Wild:
    """Draws values of the right types that often break constraints."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def value(self, ref: Ref, depth: int = 0) -> Any:
        shape, draw = ref.shape, self._random
        if shape.is_event_stream:
            return {}
        if shape.type == "structure":
            chosen = [n for n in shape.members if draw.random() < (0.7 if depth < 3 else 0.1)]
            return {n: self.value(shape.members[n], depth + 1) for n in chosen}
        if shape.type == "list":
            return [self.value(shape.member, depth + 1) for _ in range(draw.randint(0, 2))]
        if shape.type == "map":
            keys = [self.value(shape.key, depth + 1) for _ in range(draw.randint(0, 2))]
            return {key: self.value(shape.value, depth + 1) for key in keys}
        if shape.type == "string":
            words = ["", "a", "abc-1", "a b", "é\n", "x" * 3000, *shape.enum[:2]]
            return draw.choice(words)
        if shape.type == "blob":
            return draw.choice([b"", b"bytes"])
        return draw.choice([0, 1, -1, 10**9, 7])


@pytest.mark.parametrize("service", SERVICES)
def test_the_compiled_check_and_the_walk_agree(service: str) -> None:
    model = load(service)
    validator = Validator(model.settings, "ValidationException")
    for operation in model.operations.values():
        if operation.input is None or operation.input_ref is None:
            continue
        check = validator.check_of(operation.input)
        for number in range(20):
            value = _Wild(f"{operation.name}{number}").value(operation.input_ref)
            held = check is None or check(value)
            assert held == (validator.refusal(operation, value) is None), (operation, value)


@pytest.mark.parametrize(
    ("operation", "request_", "told"),
    [
        ("BatchGetItem", {"RequestItems": {}}, "The requestItems parameter is required for BatchGetItem"),
        ("BatchWriteItem", {"RequestItems": {}}, "The requestItems parameter is required for BatchWriteItem"),
        (
            "BatchGetItem",
            {"RequestItems": {"tab": {"Keys": [{}] * 101}}},
            ("1 validation error detected: Value at 'RequestItems.tab.member.Keys' failed to satisfy"
            " constraint: Member must have length less than or equal to 100"),
        ),
        (
            "BatchWriteItem",
            {"RequestItems": {"tab": []}},
            ("1 validation error detected: Value '{tab=[]}' at 'requestItems' failed to satisfy"
            " constraint: Map value must satisfy constraint: [Member must have length less than or"
            " equal to 25, Member must have length greater than or equal to 1]"),
        ),
        (
            "Query",
            {"TableName": "tab", "Limit": 0},
            ("1 validation error detected: Value at 'Limit' failed to satisfy constraint:"
            " Member must have value greater than or equal to 1"),
        ),
        (
            "Scan",
            {"TableName": "tab", "Limit": 0},
            (
                "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint:"
                " Member must have value greater than or equal to 1"
            ),
        ),
        (
            "Query",
            {"TableName": "tab", "Select": "NONE"},
            ("1 validation error detected: Value 'NONE' at 'select' failed to satisfy constraint:"
            " Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES,"
            " ALL_PROJECTED_ATTRIBUTES]"),
        ),
    ],
)  # fmt: skip
def test_what_dynamodb_says_in_words_of_its_own(
    operation: str, request_: dict[str, Any], told: str
) -> None:
    """Recorded from DynamoDB by the parity project's conformance suite, tier3/error-messages."""
    assert _refused("dynamodb", operation, json.dumps(request_).encode()).message == told


def test_a_long_value_is_told_from_its_beginning_to_its_end() -> None:
    items = [{"Get": {"TableName": "tab", "Key": {"p": {"S": "x" * 90}}}}] * 101
    message = _refused(
        "dynamodb", "TransactGetItems", json.dumps({"TransactItems": items}).encode()
    ).message
    assert message.startswith("1 validation error detected: Value '[TransactGetItem(get=")
    assert "...)]' at 'transactItems' failed to satisfy constraint:" in message
    assert len(message) < 4_400
