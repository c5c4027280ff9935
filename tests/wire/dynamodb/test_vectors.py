"""Vector indexes: what is made, what is written to them, and what SearchVectors finds.

Source: Amazon DynamoDB API Reference, SearchVectors; Developer Guide, "Creating and searching vector
indexes". Words and figures: nubo-db/dynamodb-conformance (tests/tier2/vectorSearch,
tests/tier3/error-messages), measured on AWS in eu-west-2; where more is known, dynoxide and extenddb,
which say when each of theirs was captured.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.dynamodb.conftest import Refusal
from tests.wire.dynamodb.searching import (
    AXES,
    item,
    keys_of,
    numbers,
    put,
    scores_of,
    search,
    table,
    vector_index,
)

from fogbank.services.dynamodb.rules import measures, searches
from fogbank.testing.cloud import Cloud

INVALID = "One or more parameter values were invalid"
F32_MAX = 3.4028234663852886e38


@pytest.fixture
def axes(dynamodb: Any) -> None:
    """Make a table with an index of each distance over the same four vectors."""
    distances = ("COSINE", "EUCLIDEAN", "DOT_PRODUCT")
    dynamodb.create_table(
        **table(*(vector_index(each.lower(), distance=each) for each in distances))
    )
    for p, vector in AXES.items():
        put(dynamodb, p, vector, label=f"item {p}")


@pytest.fixture
def tenants(dynamodb: Any) -> None:
    """Make a table with an index of everything and one of each tenant, with two filters."""
    by_tenant = vector_index("of-t", by="t", filters=("kind", "n"))
    dynamodb.create_table(**table(vector_index(), by_tenant))
    for p, t, kind, n in (
        ("1", "t1", "k1", "1"),
        ("2", "t1", "k2", "1"),
        ("3", "t2", "k1", "1"),
        ("4", "t1", "k1", "20"),
    ):
        put(dynamodb, p, "1 0 0", t=t, kind=kind, n={"N": n})
    put(dynamodb, "bare", "1 0 0", t="t1")
    put(dynamodb, "apart", "1 0 0", kind="k1")


@pytest.mark.usefixtures("axes")
@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("cosine", [0.0, 0.4, 1.0, 2.0]),
        ("euclidean", [0.0, 0.8**0.5, 2.0**0.5, 2.0]),
        ("dot_product", [1.0, 0.6, 0.0, -1.0]),
    ],
)
def test_the_nearest_come_first_by_each_distance(
    dynamodb: Any, name: str, scores: list[float]
) -> None:
    found = search(dynamodb, name=name)
    assert keys_of(found) == ["a", "d", "b", "c"]
    assert scores_of(found) == pytest.approx(scores, abs=1e-7)
    assert scores_of(found)[0] == scores[0]
    assert keys_of(search(dynamodb, name=name, TopK=2)) == ["a", "d"]


@pytest.mark.parametrize("count", [7, 8, 9, 16, 20])
def test_a_search_looks_at_every_vector_in_pieces(
    dynamodb: Any, turns: list[str], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Pieces of eight: what is nearest may lie in any, and the last may be full."""
    monkeypatch.setattr(searches, "SEARCH_STEP_BYTES", 1)
    dynamodb.create_table(**table(vector_index(dimensions=1, distance="EUCLIDEAN")))
    values = {f"{at:02}": at * 37 % 101 for at in range(count)}
    for p, value in values.items():
        put(dynamodb, p, str(value))
    found = search(dynamodb, "50.4", TopK=3)
    assert keys_of(found) == sorted(values, key=lambda p: abs(values[p] - 50.4))[:3]
    pieces = count // 8
    assert turns.count("SearchVectors") == pieces + len(found["SearchResults"])


def test_vectors_of_zeros_are_at_one_from_every_other(dynamodb: Any) -> None:
    dynamodb.create_table(**table(vector_index()))
    put(dynamodb, "zero", "0 0 0")
    put(dynamodb, "unit", "1 0 0")
    assert scores_of(search(dynamodb, "0 0 0")) == [1.0, 1.0]
    found = search(dynamodb)
    assert [*zip(keys_of(found), scores_of(found), strict=True)] == [("unit", 0.0), ("zero", 1.0)]


@pytest.mark.parametrize(
    ("distance", "vector", "wanted", "score"),
    [
        ("DOT_PRODUCT", "3.4e38 -3.4e38", "3.4e38 3.4e38", 0.0),
        ("DOT_PRODUCT", "3.4e38 3.4e38", "3.4e38 3.4e38", F32_MAX),
        ("DOT_PRODUCT", "3.4e38 3.4e38", "-3.4e38 -3.4e38", -F32_MAX),
        ("EUCLIDEAN", "-3.4e38 0", "3.4e38 0", F32_MAX),
        ("COSINE", "1e-23 0", "1e-23 0", 0.0),
        ("COSINE", "0.1 0.7", "0.1 0.7", 0.0),
    ],
)
def test_sums_overflow_nowhere_and_scores_stay_in_32_bits(
    dynamodb: Any, distance: str, vector: str, wanted: str, score: float
) -> None:
    dynamodb.create_table(**table(vector_index(dimensions=2, distance=distance)))
    put(dynamodb, "x", vector)
    assert scores_of(search(dynamodb, wanted)) == [score]


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize(
    ("condition", "values", "found"),
    [
        ("t = :t", {"t": "t1"}, ["1", "2", "4", "bare"]),
        (":t = t", {"t": "t2"}, ["3"]),
        ("t = :t AND kind = :k", {"t": "t1", "k": "k1"}, ["1", "4"]),
        ("(kind = :k AND (n = :n AND t = :t))", {"t": "t1", "k": "k1", "n": {"N": "2e1"}}, ["4"]),
        ("t = :t AND kind = :k", {"t": "t3", "k": "k1"}, []),
        ("t = :t AND t = :k", {"t": "t1", "k": "t2"}, []),
        ("t = :t AND kind = :k AND kind = :t", {"t": "t1", "k": "k1"}, []),
    ],
)
def test_a_condition_keeps_to_one_partition_and_to_what_equals_its_filters(
    dynamodb: Any, condition: str, values: dict[str, Any], found: list[str]
) -> None:
    assert (
        sorted(keys_of(search(dynamodb, condition=condition, values=values, name="of-t"))) == found
    )


@pytest.mark.usefixtures("tenants")
def test_names_of_attributes_may_be_placeholders(dynamodb: Any) -> None:
    members = {"ExpressionAttributeNames": {"#t": "t", "#p": "p"}, "ProjectionExpression": "#p"}
    found = search(dynamodb, condition="#t = :t", values={"t": "t2"}, name="of-t", **members)
    assert [each["Item"] for each in found["SearchResults"]] == [{"p": {"S": "3"}}]


@pytest.mark.usefixtures("tenants")
def test_an_index_without_a_partition_key_has_every_vector(dynamodb: Any) -> None:
    assert len(keys_of(search(dynamodb))) == 6
    assert len(keys_of(search(dynamodb, TopK=100))) == 6


@pytest.mark.usefixtures("tenants")
@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"TopK": 101},
            (
                "Provided TopK value '101' is out of valid range. The value must be between 1 and 100"
                " inclusive"
            ),
        ),
        ({"name": "none"}, "The table does not have the specified index: none"),
        (
            {"vector": "1 0"},
            "Input search vector dimension 2 does not match vector index dimension 3",
        ),
        (
            {"vector": "1e39 0 0"},
            (
                "Search vector contains invalid values. All values in the search vector must be a"
                " 32-bit floating-point number attribute"
            ),
        ),
        (
            {"name": "of-t"},
            "SearchConditionExpression must be provided when SearchSchema has a HASH key",
        ),
        (
            {"name": "of-t", "condition": "kind = :k", "values": {"k": "k1"}},
            "SearchConditionExpression must be provided when SearchSchema has a HASH key",
        ),
        (
            {"condition": "t = :t", "values": {"t": "t1"}},
            (
                "SearchConditionExpression must not contain any attributes that is not in"
                " SearchSchema. Invalid attribute: t"
            ),
        ),
        (
            {"name": "of-t", "condition": "t < :t", "values": {"t": "t1"}},
            (
                "Invalid SearchConditionExpression: Invalid comparator used in"
                " SearchConditionExpression"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t AND kind <> :t", "values": {"t": "t1"}},
            (
                "Invalid SearchConditionExpression: Invalid comparator used in"
                " SearchConditionExpression"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t OR kind = :t", "values": {"t": "t1"}},
            (
                "Invalid SearchConditionExpression: Invalid comparator used in"
                " SearchConditionExpression"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t AND kind IN (:t)", "values": {"t": "t1"}},
            (
                "Invalid SearchConditionExpression: Invalid comparator used in"
                " SearchConditionExpression"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = kind"},
            (
                "Invalid SearchConditionExpression: A condition must compare one attribute with one"
                " value"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t AND kind.a = :t", "values": {"t": "t1"}},
            "SearchConditionExpression cannot have conditions on nested attributes",
        ),
        (
            {"name": "of-t", "condition": "t = :t", "values": {"t": {"N": "1"}}},
            (
                "Type of 't' attribute in SearchConditionExpression (N) does not match type in search"
                " schema (S)"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t", "values": {"t": ""}},
            (
                "One or more parameter values are not valid. The AttributeValue for a key attribute"
                " cannot contain an empty string value. Key: t"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t AND kind = :k", "values": {"t": "t1"}},
            (
                "Invalid SearchConditionExpression: An expression attribute value used in expression"
                " is not defined; attribute value: :k"
            ),
        ),
        (
            {"name": "of-t", "condition": "bucket = :t", "values": {"t": "t1"}},
            (
                "Invalid SearchConditionExpression: Attribute name is a reserved keyword; reserved"
                " keyword: bucket"
            ),
        ),
        (
            {"values": {"t": "t1"}},
            (
                "ExpressionAttributeValues can only be specified when using expressions:"
                " SearchConditionExpression is null"
            ),
        ),
        (
            {"name": "of-t", "condition": "t = :t", "values": {"t": "t1", "x": "x"}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}",
        ),
    ],
)
def test_a_search_that_fits_no_index_is_refused(
    dynamodb: Any, refusal: Any, members: dict[str, Any], message: str
) -> None:
    found: Refusal = refusal(lambda: search(dynamodb, **members))
    assert found == (400, "ValidationException", message)


def test_a_search_vector_is_a_plain_list(dynamodb: Any, refusal: Any) -> None:
    dynamodb.create_table(**table(vector_index()))
    found: Refusal = refusal(
        dynamodb.search_vectors,
        TableName="tab",
        IndexName="vix",
        TopK=1,
        SearchVector=[{"L": numbers("1 0 0")}],
    )
    assert found[2].startswith("Search vector contains invalid values.")


def test_a_search_of_no_table_or_of_an_index_of_another_kind_finds_none(
    dynamodb: Any, refusal: Any, make_indexed: Any
) -> None:
    missing: Refusal = refusal(lambda: search(dynamodb))
    assert missing == (400, "ResourceNotFoundException", "Requested resource not found")
    projection = {"ProjectionType": "ALL"}
    key = [{"AttributeName": "g", "KeyType": "HASH"}]
    make_indexed({"IndexName": "by-g", "KeySchema": key, "Projection": projection})
    other: Refusal = refusal(lambda: search(dynamodb, name="by-g"))
    assert other[2] == "The table does not have the specified index: by-g"


def test_results_show_what_the_index_projects_and_the_vector_only_when_it_is_named(
    dynamodb: Any,
) -> None:
    """The index tells its own copy, in 32 bits; the item keeps what was written."""
    indexes = [
        vector_index("all"),
        vector_index("keys", by="t", filters=("n",), include=()),
        vector_index("some", include=("label", "v")),
    ]
    dynamodb.create_table(**table(*indexes))
    whole = {"t": "t", "label": "x", "extra": "y", "n": {"N": "7"}}
    put(dynamodb, "a", "1 0.123456789012 -2.5e-7", **whole)
    everything = {"p", "t", "label", "extra", "n"}
    for name, shown in (
        ("all", everything),
        ("keys", {"p", "t", "n"}),
        ("some", {"p", "label"}),
    ):
        given = {"condition": "t = :t", "values": {"t": "t"}} if name == "keys" else {}
        [found] = search(dynamodb, name=name, **given)["SearchResults"]
        assert set(found["Item"]) == shown, name
        [found] = search(dynamodb, name=name, ProjectionExpression="p, v, extra", **given)[
            "SearchResults"
        ]
        told = {"L": numbers("1.0 0.12345679 -0.00000025")}
        assert found["Item"].get("v") == (None if name == "keys" else told), name
        assert set(found["Item"]) - {"v"} == ({"p", "extra"} if name == "all" else {"p"})
    [kept] = dynamodb.scan(TableName="tab")["Items"]
    assert kept["v"]["L"] == numbers("1 0.123456789012 -0.00000025")


@pytest.mark.parametrize("size", [10_000, 40_000, 300_000])
def test_items_too_large_for_an_entry_are_found_shown_and_changed(dynamodb: Any, size: int) -> None:
    """Those whose attributes lie in a chunk or in a blob of their own too."""
    dynamodb.create_table(**table(vector_index("vix", filters=("kind",))))
    put(dynamodb, "a", "1 0 0", kind="k", big="x" * size)
    put(dynamodb, "b", "1 0 0", kind="l", big="x" * size)
    [found] = search(dynamodb, condition="kind = :k", values={"k": "k"})["SearchResults"]
    assert found["Item"] == {**item("a", kind="k"), "big": {"S": "x" * size}}
    put(dynamodb, "a", "0 1 0", kind="k", big="y" * size)
    [found] = search(dynamodb, "0 1 0", "kind = :k", values={"k": "k"})["SearchResults"]
    assert (found["Score"], found["Item"]["big"]["S"][0]) == (0.0, "y")


@pytest.mark.parametrize("cloud", [{"dynamodb.search_bytes_max": 20_000}], indirect=True)
def test_results_that_are_too_large_together_are_refused(dynamodb: Any, refusal: Any) -> None:
    """Developer Guide, "Requirements and limitations": 16 MB, without pages."""
    dynamodb.create_table(**table(vector_index()))
    for p in "abc":
        put(dynamodb, p, "1 0 0", big="x" * 9_000)
    assert len(keys_of(search(dynamodb, TopK=2))) == 2
    found: Refusal = refusal(lambda: search(dynamodb, TopK=3))
    assert found[1:] == (
        "ValidationException",
        "The results of the search exceed the maximum of 20000 bytes",
    )


@pytest.mark.usefixtures("axes")
def test_a_search_tells_the_bytes_that_it_compared_and_told(dynamodb: Any) -> None:
    """No figure of AWS's: its own differ from one call to the next."""
    assert "ConsumedCapacity" not in search(dynamodb, name="cosine")
    read = 4 * 3 * 4 + len("p") + len("a") + len("label") + len("item a")
    for wanted in ("TOTAL", "INDEXES"):
        found = search(dynamodb, name="cosine", TopK=1, ReturnConsumedCapacity=wanted)
        assert found["ConsumedCapacity"] == {"VectorSearchRequestBytes": float(read)}


def test_a_table_tells_its_vector_indexes_as_they_were_asked_for(
    cloud: Cloud, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "PERIOD_MS", 1_000)
    asked = [
        vector_index("one", by="t", filters=("kind", "n"), dimensions=4_096, distance="EUCLIDEAN"),
        vector_index("two", include=("label",), attribute="w"),
    ]
    asked[0]["SearchSchema"].reverse()
    dynamodb.create_table(**table(*asked))
    told = dynamodb.describe_table(TableName="tab")["Table"]
    arn = told["TableArn"]
    assert told["VectorIndexes"] == [
        {
            **each,
            "IndexStatus": "ACTIVE",
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": f"{arn}/index/{each['IndexName']}",
        }
        for each in asked
    ]
    names = [each["AttributeName"] for each in told["AttributeDefinitions"]]
    assert names == ["kind", "n", "p", "t"]
    assert "GlobalSecondaryIndexes" not in told
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "a"}, "w": {"L": numbers("1 0 0")}})
    cloud.advance(1_000)
    counted = dynamodb.describe_table(TableName="tab")["Table"]["VectorIndexes"]
    assert [each["ItemCount"] for each in counted] == [0, 1]
    assert counted[1]["IndexSizeBytes"] == 4 * 3 + len("w") + len("p") + len("a")


SCHEMA = [{"AttributeName": "p", "AttributeType": "S"}]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            table(
                vector_index(),
                BillingMode="PROVISIONED",
                ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
            ),
            "Vector indexes are only supported for PAY_PER_REQUEST tables",
        ),
        (
            table(vector_index(by="t"), AttributeDefinitions=SCHEMA),
            "One element in SearchSchema is not defined in attribute definitions",
        ),
        (
            table(vector_index(dimensions=4_097)),
            "Number of dimensions must be between 1 and 4096 inclusive.",
        ),
        (
            table(*(vector_index(f"vix-{number}") for number in range(6))),
            "VectorIndex count exceeds the per-table limit of 5",
        ),
        (
            table(vector_index(), vector_index("other", dimensions=4)),
            (
                "Conflicting attribute definition for 'v'. All VectorIndexes on the same vector"
                " attribute must use the same dimensions."
            ),
        ),
        (
            table(vector_index(attribute="p")),
            (
                "Conflicting attribute definition for 'p'. An attribute cannot be defined in"
                " AttributeDefinitions when used as a VectorAttribute."
            ),
        ),
        (table(vector_index(), vector_index()), "Duplicate index name: vix"),
        (
            table(vector_index(filters=("a", "a"))),
            "Duplicate attribute name in SearchSchema: a",
        ),
        (
            table(vector_index(filters=[f"f{number}" for number in range(19)])),
            "Number of INLINE_FILTER elements in SearchSchema exceeds the limit of 18",
        ),
        (
            table(
                vector_index(),
                AttributeDefinitions=[*SCHEMA, {"AttributeName": "x", "AttributeType": "S"}],
            ),
            "Some AttributeDefinitions are not used. AttributeDefinitions: [p, x], keys used: [p]",
        ),
        (table(VectorIndexes=[]), "List of VectorIndexes is empty"),
    ],
)
def test_vector_indexes_that_cannot_be_are_not_made(
    dynamodb: Any, refusal: Any, members: dict[str, Any], message: str
) -> None:
    expected = (400, "ValidationException", f"{INVALID}: {message}")
    assert refusal(dynamodb.create_table, **members) == expected
    assert dynamodb.list_tables()["TableNames"] == []


def test_two_partition_keys_of_one_index_are_refused(dynamodb: Any, refusal: Any) -> None:
    asked = vector_index(by="t", filters=("u",))
    asked["SearchSchema"][1]["SearchSchemaElementType"] = "HASH"
    found: Refusal = refusal(dynamodb.create_table, **table(asked))
    assert found[2] == f"{INVALID}: Number of HASH elements in SearchSchema exceeds the limit of 1"


def test_a_vector_index_is_no_index_to_query_scan_or_select_from(
    dynamodb: Any, refusal: Any
) -> None:
    """Developer Guide, "Requirements and limitations"; the words of PartiQL were measured."""
    dynamodb.create_table(**table(vector_index()))
    put(dynamodb, "a", "1 0 0")
    found: Refusal = refusal(dynamodb.execute_statement, Statement='SELECT * FROM "tab"."vix"')
    assert found[1:] == ("ValidationException", "Scan operation not supported on this index type")
    found = refusal(dynamodb.scan, TableName="tab", IndexName="vix")
    assert found[2] == "Scan operation not supported on this index type"
    condition = {
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    }
    found = refusal(dynamodb.query, TableName="tab", IndexName="vix", **condition)
    assert found[2] == "Query operation not supported on this index type"
    [told] = dynamodb.execute_statement(Statement="SELECT * FROM tab WHERE p = 'a'")["Items"]
    assert told["v"] == {"L": numbers("1 0 0")}
