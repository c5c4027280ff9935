"""Statements of PartiQL, as boto3 sees them.

Source: Amazon DynamoDB Developer Guide, "PartiQL for DynamoDB" and "IAM security policies with PartiQL
for DynamoDB"; API Reference, ExecuteStatement, BatchExecuteStatement and ExecuteTransaction. What
answers hold was recorded from DynamoDB by the parity project's conformance suite (tier2/partiql).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.dynamodb.indexing import index, schema

from fogbank.testing.cloud import Cloud

KEYLESS = "Where clause does not contain a mandatory equality on all key attributes"
Run = Callable[..., Any]


@pytest.fixture
def run(dynamodb: Any) -> Run:
    """Execute a statement with parameters; return the reply."""

    def execute(statement: str, *parameters: Any, **members: Any) -> Any:
        given = {"Parameters": list(parameters)} if parameters else {}
        return dynamodb.execute_statement(Statement=statement, **given, **members)

    return execute


@pytest.fixture
def rows(make_table: Any, dynamodb: Any) -> None:
    """Make a table of two partitions of three items."""
    make_table(sort="N")
    for p in "ab":
        for c in "123":
            item = {"p": {"S": p}, "c": {"N": c}, "v": {"S": f"{p}{c}"}}
            dynamodb.put_item(TableName="tab", Item=item)


def shown(reply: Any) -> list[str]:
    return [item["v"]["S"] for item in reply["Items"]]


def code_of(call: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**given)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_items_are_inserted_once_changed_where_they_are_and_removed(
    run: Run, dynamodb: Any, make_table: Any, refusal: Any
) -> None:
    make_table()
    item = {"p": {"S": "a"}, "m": {"M": {"x": {"L": [{"N": "1"}]}}}, "s": {"SS": ["x"]}}
    insert = "INSERT INTO tab VALUE {'p': 'a', 'm': {'x': [1]}, 's': <<?>>}"
    assert run(insert, {"S": "x"})["Items"] == []
    assert dynamodb.get_item(TableName="tab", Key={"p": {"S": "a"}})["Item"] == item
    duplicate = (400, "DuplicateItemException", "Duplicate primary key exists in table")
    assert refusal(run, statement=insert.replace("?", "'y'")) == duplicate
    update = "UPDATE tab SET m.x[0] = m.x[0] + 4 SET s = set_add(s, <<'y'>>) WHERE p = 'a'"
    changed = run(f"{update} RETURNING MODIFIED NEW *")["Items"]
    assert changed == [{"m": {"M": {"x": {"L": [{"N": "5"}]}}}, "s": {"SS": ["x", "y"]}}]
    old = run("UPDATE tab REMOVE m, s WHERE p = 'a' RETURNING ALL OLD *")["Items"]
    assert old == [{**item, **changed[0]}]
    failed = (400, "ConditionalCheckFailedException", "The conditional request failed")
    for condition in ("p = 'b'", "p = 'a' AND m IS NOT MISSING", "p = 'a' AND v = 1"):
        assert refusal(run, statement=f"UPDATE tab SET z = 1 WHERE {condition}") == failed
    assert refusal(run, statement="DELETE FROM tab WHERE p = 'a' AND v = 1") == failed
    assert run("SELECT * FROM tab")["Items"] == [{"p": {"S": "a"}}]
    assert run("DELETE FROM tab WHERE p = 'b' AND v = 1")["Items"] == [], "no item, no condition"
    assert run("DELETE FROM tab WHERE p = 'a' RETURNING ALL OLD *")["Items"] == [{"p": {"S": "a"}}]
    assert run("SELECT * FROM tab")["Items"] == []


def test_what_failed_is_shown_if_that_was_asked_for(
    run: Run, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    run("INSERT INTO tab VALUE {'p': 'a', 'v': 1}")
    with pytest.raises(ClientError) as refused:
        run(
            "DELETE FROM tab WHERE p = 'a' AND v = 2",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"] == {"p": {"S": "a"}, "v": {"N": "1"}}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("p = 'a'", ["a1", "a2", "a3"]),
        ("p = 'a' AND c > 1 ORDER BY c DESC", ["a3", "a2"]),
        ("p = 'b' AND c BETWEEN 2 AND 3 AND NOT v = 'b3'", ["b2"]),
        ("p IN ['b', 'a'] AND c = 2", ["b2", "a2"]),
        ("p = 'b' AND c = 3 OR p = 'b' AND c <> 3", ["b1", "b2", "b3"]),
        ("p = 'a' AND begins_with(v, 'b')", []),
        ("p = 'none'", []),
    ],
)
def test_selects_read_by_key_in_the_order_of_the_key(
    run: Run, rows: None, condition: str, found: list[str]
) -> None:
    assert shown(run(f"SELECT * FROM tab WHERE {condition}", ConsistentRead=True)) == found


OVERLAP = "Overlapping conditions with range keys are not supported in where clause"


@pytest.mark.parametrize(
    "condition",
    [
        "p IN ['a', 'a']",
        "p = 'a' OR p = 'a'",
        "p = 'a' AND (c > 0 OR c < 5)",
        "p = 'a' AND (c = 1 OR v = 'a2')",
        "p = 'a' AND v = 'a1' OR p = 'a' AND v = 'a2'",
        "p = 'a' AND v <> 'a1' OR p = 'a' AND c = 2",
        "p = 'a' AND (c BETWEEN 1 AND 2 OR c >= 2)",
        "p IN ['b', 'a'] AND c IN [1, 2, 1.0]",
    ],
)
def test_alternatives_that_overlap_are_refused(
    run: Run, rows: None, refusal: Any, condition: str
) -> None:
    """Measured on AWS by others (``rules/partiql/overlaps.py``)."""
    refused = refusal(run, statement=f"SELECT * FROM tab WHERE {condition}")
    assert refused == (400, "ValidationException", OVERLAP)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("p = 'a' AND (c = 1 OR c = 2)", ["a1", "a2"]),
        ("p = 'a' AND c IN [1, 2]", ["a1", "a2"]),
        ("p = 'a' AND (c < 1 OR c > 1 OR c = 1)", ["a1", "a2", "a3"]),
        ("p = 'a' AND (v = 'a1' OR v = 'a2')", ["a1", "a2"]),
        ("p = 'a' AND (c > 3 AND c < 2 OR c >= 1)", ["a1", "a2", "a3"]),
        ("p = 'a' AND NOT c = 1 OR p = 'a' AND c = 2", ["a2", "a3"]),
        ("p = 'a' AND c <> 1 OR p = 'a' AND c = 2", ["a2", "a3"]),
        ("p = 'a' AND NOT c IN [1, 3] OR p = 'a' AND c = 2", ["a2"]),
        ("p = 'a' OR p = 'a' AND NOT c = 1", ["a1", "a2", "a3"]),
        ("p = 'a' OR p = 'b' AND c = 1", ["a1", "a2", "a3", "b1"]),
    ],
)
def test_alternatives_that_do_not_overlap_are_read(
    run: Run, rows: None, condition: str, found: list[str]
) -> None:
    assert sorted(shown(run(f"SELECT * FROM tab WHERE {condition}"))) == found


def test_prefixes_of_a_binary_sort_key_overlap_where_one_begins_with_the_other(
    dynamodb: Any, make_table: Any, run: Run, refusal: Any
) -> None:
    make_table("bin", sort="B")
    statement = "SELECT * FROM bin WHERE p = 'a' AND (begins_with(c, ?) OR begins_with(c, ?))"
    for first, second, overlaps in ((b"\xff", b"\xff\xff", True), (b"\xfe", b"\xff", False)):
        given = {"statement": statement, "Parameters": [{"B": first}, {"B": second}]}
        if overlaps:
            assert refusal(run, **given)[2] == OVERLAP
        else:
            assert run(**given)["Items"] == []


def test_selects_without_a_partition_key_read_everything(run: Run, rows: None) -> None:
    assert sorted(shown(run("SELECT v FROM tab WHERE c = 2"))) == ["a2", "b2"]
    assert len(run("SELECT * FROM tab")["Items"]) == 6
    assert run("SELECT v, x.y FROM tab WHERE p = 'a' AND c = 1")["Items"] == [{"v": {"S": "a1"}}]


@pytest.mark.parametrize("condition", ["p IN ['a', 'b'] AND c >= 2", "c >= 2"])
def test_pages_go_on_where_they_stopped_over_all_that_is_read(
    run: Run, rows: None, condition: str
) -> None:
    statement = f"SELECT * FROM tab WHERE {condition}"
    found: list[str] = []
    pages, more = 0, {}
    while True:
        reply = run(statement, Limit=1, **more)
        found += shown(reply)
        pages += 1
        if "NextToken" not in reply:
            break
        assert reply["LastEvaluatedKey"].keys() == {"p", "c"}
        more = {"NextToken": reply["NextToken"]}
    assert sorted(found) == ["a2", "a3", "b2", "b3"]
    assert pages >= 4


def test_a_page_of_items_without_a_sort_key_goes_on_with_the_next(
    run: Run, make_table: Any
) -> None:
    make_table()
    for p in "abc":
        run("INSERT INTO tab VALUE {'p': ?, 'v': ?}", {"S": p}, {"S": p})
    statement = "SELECT * FROM tab WHERE p IN ['a', 'b', 'c']"
    first = run(statement, Limit=2)
    assert shown(first) == ["a", "b"]
    assert shown(run(statement, NextToken=first["NextToken"])) == ["c"]


def test_bytes_in_keys_survive_in_tokens(run: Run, make_table: Any) -> None:
    make_table(partition="B", sort="B")
    for c in (b"\0", b"\xff"):
        run("INSERT INTO tab VALUE {'p': ?, 'c': ?, 'v': 'x'}", {"B": b"\x80"}, {"B": c})
    first = run("SELECT * FROM tab WHERE p = ?", {"B": b"\x80"}, Limit=1)
    rest = run("SELECT * FROM tab WHERE p = ?", {"B": b"\x80"}, NextToken=first["NextToken"])
    assert [each["c"]["B"] for each in (*first["Items"], *rest["Items"])] == [b"\0", b"\xff"]


@pytest.fixture
def indexed(dynamodb: Any) -> None:
    """Make a table with a local and a global index, and two items."""
    dynamodb.create_table(
        TableName="tab",
        KeySchema=schema("p", ">c"),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in "pcxy"],
        LocalSecondaryIndexes=[index("local", "p", ">x", projection="KEYS_ONLY")],
        GlobalSecondaryIndexes=[index("global", "y", ">x", projection="KEYS_ONLY")],
        BillingMode="PAY_PER_REQUEST",
    )
    for c, x in (("1", "b"), ("2", "a")):
        item = {"p": "p", "c": c, "x": x, "y": "y", "v": c}
        dynamodb.put_item(TableName="tab", Item={k: {"S": v} for k, v in item.items()})


def test_indexes_are_read_by_their_own_keys(run: Run, indexed: None, refusal: Any) -> None:
    local = run("SELECT v FROM tab.\"local\" WHERE p = 'p' ORDER BY x", ConsistentRead=True)
    assert shown(local) == ["2", "1"], "what is not projected is fetched"
    found = run("SELECT * FROM tab.\"global\" WHERE y = 'y' AND x > 'a'")
    assert found["Items"] == [{"p": {"S": "p"}, "c": {"S": "1"}, "x": {"S": "b"}, "y": {"S": "y"}}]
    assert len(run("SELECT * FROM tab.\"global\" WHERE p = 'p'")["Items"]) == 2
    first = run("SELECT * FROM tab.\"global\" WHERE y = 'y'", Limit=1)
    rest = run("SELECT * FROM tab.\"global\" WHERE y = 'y'", NextToken=first["NextToken"])
    assert [each["c"]["S"] for each in (*first["Items"], *rest["Items"])] == ["2", "1"]
    assert refusal(run, statement='SELECT v, w FROM tab."global"')[2] == (
        "One or more parameter values were invalid:"
        " Global secondary index global does not project [v, w]"
    )
    assert "specified index: none" in refusal(run, statement='SELECT * FROM tab."none"')[2]


def test_what_is_consumed_is_what_the_like_operation_consumes(run: Run, rows: None) -> None:
    more = {"ReturnConsumedCapacity": "TOTAL"}
    read = run("SELECT * FROM tab WHERE p = 'a'", ConsistentRead=True, **more)
    assert read["ConsumedCapacity"] == {"TableName": "tab", "CapacityUnits": 1.0}
    written = run("UPDATE tab SET w = 1 WHERE p = 'a' AND c = 1", **more)
    assert written["ConsumedCapacity"] == {"TableName": "tab", "CapacityUnits": 1.0}


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("UPDATE tab SET v = 1 WHERE p = 'a'", KEYLESS),
        ("DELETE FROM tab WHERE c = 1", KEYLESS),
        ("UPDATE tab SET c = 2 WHERE p = 'a' AND c = 1",
         ("One or more parameter values were invalid:"
         " Cannot update attribute c. This attribute is part of the key")),
        ("INSERT INTO tab VALUE {'p': 'a'}",
         "One or more parameter values were invalid: Missing the key c in the item"),
        ("SELECT * FROM tab WHERE p = 1",
         ("One or more parameter values were invalid: Condition parameter type does not match schema"
         " type")),
        ("EXISTS(SELECT * FROM tab WHERE p = 'a' AND c = 1 AND v = 'x')",
         "EXISTS() is supported in ExecuteTransaction only"),
        ("INSERT INTO tab.i VALUE {'p': 'a', 'c': 1}", "An index cannot be written: i"),
    ],
)  # fmt: skip
def test_statements_that_do_not_fit_their_table_are_refused(
    run: Run, rows: None, refusal: Any, statement: str, refused: str
) -> None:
    assert refusal(run, statement=statement) == (400, "ValidationException", refused)


def test_a_missing_table_is_told_as_everywhere(run: Run, refusal: Any) -> None:
    missing = (400, "ResourceNotFoundException", "Requested resource not found")
    for statement in ("SELECT * FROM none", "DELETE FROM none WHERE p = 1"):
        assert refusal(run, statement=statement) == missing


def test_statements_of_a_batch_stand_for_themselves(dynamodb: Any, rows: None) -> None:
    where = "WHERE p = 'a' AND c = 1"
    key_only = (
        "Select statements within BatchExecuteStatement must specify the primary key in the where"
        " clause."
    )
    statements = [
        "SELECT v FROM tab WHERE p = 'a' AND c = 1",
        "SELECT * FROM tab WHERE p = 'a' AND c = 9",
        "SELECT * FROM tab WHERE p = 'a'",
        "SELECT * FROM tab WHERE p = 'a' AND c = 1 AND v = 'x'",
        "SELECT * FROM none WHERE p = 'a'",
        "INSERT INTO tab VALUE {'p': 'a', 'c': 1}",
        f"UPDATE tab SET w = 1 {where} RETURNING MODIFIED NEW *",
        f"DELETE FROM tab {where} AND w = 2",
        "nonsense",
    ]
    reply = dynamodb.batch_execute_statement(
        Statements=[{"Statement": each} for each in statements], ReturnConsumedCapacity="TOTAL"
    )
    assert reply["Responses"] == [
        {"TableName": "tab", "Item": {"v": {"S": "a1"}}},
        {"TableName": "tab"},
        {"TableName": "tab", "Error": {"Code": "ValidationError", "Message": key_only}},
        {"TableName": "tab", "Error": {"Code": "ValidationError", "Message": key_only}},
        {
            "TableName": "none",
            "Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"},
        },
        {
            "TableName": "tab",
            "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        },
        {"TableName": "tab", "Item": {"w": {"N": "1"}}},
        {
            "TableName": "tab",
            "Error": {
                "Code": "ConditionalCheckFailed",
                "Message": "The conditional request failed",
            },
        },
        {
            "Error": {
                "Code": "ValidationError",
                "Message": "Statement wasn't well formed, can't be processed:"
                " Expected data manipulation",
            }
        },
    ]
    assert reply["ConsumedCapacity"] == [{"TableName": "tab", "CapacityUnits": 2.0}]


def transaction(*statements: str) -> dict[str, Any]:
    return {"TransactStatements": [{"Statement": each} for each in statements]}


def test_a_transaction_of_statements_happens_whole_or_not_at_all(
    dynamodb: Any, rows: None, run: Run
) -> None:
    exists = "EXISTS(SELECT * FROM tab WHERE p = 'b' AND c = 1 AND v = 'b1')"
    reply = dynamodb.execute_transaction(
        **transaction(
            "INSERT INTO tab VALUE {'p': 'n', 'c': 1, 'v': 'n1'}",
            "UPDATE tab SET v = 'changed' WHERE p = 'a' AND c = 1",
            "DELETE FROM tab WHERE p = 'a' AND c = 2",
            exists,
        ),
        ReturnConsumedCapacity="TOTAL",
    )
    assert reply["Responses"] == []
    [consumed] = reply["ConsumedCapacity"]
    assert (consumed["TableName"], consumed["CapacityUnits"]) == ("tab", 8.0)
    assert shown(run("SELECT * FROM tab WHERE p IN ['n', 'a']")) == ["n1", "changed", "a3"]
    with pytest.raises(ClientError) as cancelled:
        dynamodb.execute_transaction(
            **transaction(
                "UPDATE tab SET v = 'lost' WHERE p = 'a' AND c = 3",
                "INSERT INTO tab VALUE {'p': 'n', 'c': 1}",
                exists.replace("'b1'", "'b2'"),
            )
        )
    error = cancelled.value.response
    assert error["Error"]["Code"] == "TransactionCanceledException"
    assert [each["Code"] for each in error["CancellationReasons"]] == [
        "None", "DuplicateItem", "ConditionalCheckFailed",
    ]  # fmt: skip
    assert shown(run("SELECT * FROM tab WHERE p = 'a'")) == ["changed", "a3"]


def test_a_transaction_of_selects_reads_items_as_they_are_at_one_time(
    dynamodb: Any, rows: None
) -> None:
    reply = dynamodb.execute_transaction(
        **transaction(
            "SELECT v FROM tab WHERE p = 'a' AND c = 1", "SELECT * FROM tab WHERE p = 'a' AND c = 9"
        )
    )
    assert reply["Responses"] == [{"Item": {"v": {"S": "a1"}}}, {}]


def test_a_token_makes_a_transaction_of_statements_happen_once(
    dynamodb: Any, rows: None, run: Run
) -> None:
    add = "UPDATE tab SET n = 1 SET c2 = c2 + 1 WHERE p = 'a' AND c = 1"
    run("UPDATE tab SET c2 = 0 WHERE p = 'a' AND c = 1")
    for _ in range(3):
        dynamodb.execute_transaction(**transaction(add), ClientRequestToken="once")
    [item] = run("SELECT c2 FROM tab WHERE p = 'a' AND c = 1")["Items"]
    assert item == {"c2": {"N": "1"}}
    other = {**transaction("DELETE FROM tab WHERE p = 'a' AND c = 1"), "ClientRequestToken": "once"}
    code, _ = code_of(dynamodb.execute_transaction, **other)
    assert code == "IdempotentParameterMismatchException"


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["SELECT * FROM tab WHERE p = 'a'"],
         ("Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction"
         " must specify the primary key in the where clause.")),
        (["UPDATE tab SET v = 1 WHERE p = 'a' AND c = 1",
          "EXISTS(SELECT * FROM tab WHERE p = 'a' AND c = 2)"],
         ("Validation failed in TransactStatements[1]: EXISTS() must contain a single item read with"
         " additional condition")),
        (["SELECT * FROM tab WHERE p = 'a' AND c = 1", "DELETE FROM tab WHERE p = 'a' AND c = 1"],
         "Transaction statements must be either all reads, or all writes and EXISTS() checks"),
        (["DELETE FROM tab WHERE p = 'a' AND c = 1", "DELETE FROM tab WHERE p = 'a' AND c = 1"],
         "Transaction request cannot include multiple operations on one item"),
    ],
)  # fmt: skip
def test_transactions_that_cannot_be_are_refused(
    dynamodb: Any, rows: None, statements: list[str], words: str
) -> None:
    refused = code_of(dynamodb.execute_transaction, **transaction(*statements))
    assert refused == ("ValidationException", words)


@pytest.fixture
def as_user(cloud: Cloud) -> Callable[..., Any]:
    """Make a user with statements of a policy; return its client."""
    iam = cloud.client("iam")

    def made(*statements: dict[str, Any]) -> Any:
        name = f"u{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return cloud.client(
            "dynamodb", access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]
        )

    return made


def allow(*actions: str, effect: str = "Allow", resource: str = "*", **more: Any) -> Any:
    named = [f"dynamodb:{action}" for action in actions]
    return {"Effect": effect, "Action": named, "Resource": resource, **more}


STATEMENTS = {
    "PartiQLSelect": "SELECT * FROM tab WHERE p = 'a' AND c = 1",
    "PartiQLInsert": "INSERT INTO tab VALUE {'p': 'i', 'c': 1}",
    "PartiQLUpdate": "UPDATE tab SET v = 'w' WHERE p = 'a' AND c = 1",
    "PartiQLDelete": "DELETE FROM tab WHERE p = 'a' AND c = 1",
}


@pytest.mark.parametrize("action", STATEMENTS)
def test_each_kind_of_statement_is_allowed_by_an_action_of_its_own(
    rows: None, as_user: Any, action: str
) -> None:
    others = [each for each in STATEMENTS if each != action]
    may, may_not = as_user(allow(action)), as_user(allow(*others, "*Item", "Query", "Scan"))
    given = {"Statement": STATEMENTS[action]}
    assert code_of(may_not.execute_statement, **given)[0] == "AccessDeniedException"
    batch = {"Statements": [given]}
    assert code_of(may_not.batch_execute_statement, **batch)[0] == "AccessDeniedException"
    several = {"TransactStatements": [given]}
    assert code_of(may_not.execute_transaction, **several)[0] == "AccessDeniedException"
    may.execute_statement(**given)


def test_full_scans_can_be_denied(rows: None, as_user: Any, account: str) -> None:
    """Developer Guide: "Allow select statements and deny full table scan statements"."""
    table = f"arn:aws:dynamodb:us-east-1:{account}:table/tab"
    user = as_user(
        allow(
            "PartiQLSelect",
            effect="Deny",
            resource=table,
            Condition={"Bool": {"dynamodb:FullTableScan": ["true"]}},
        ),
        allow("PartiQLSelect", resource=table),
    )
    for where in ("p = 'a'", "p IN ['a', 'b']", "p = 'a' AND c > 1 OR p = 'b'"):
        user.execute_statement(Statement=f"SELECT * FROM tab WHERE {where}")
    for where in ("", "WHERE c = 1", "WHERE p = 'a' OR c = 1", "WHERE p > 'a'"):
        refused = code_of(user.execute_statement, Statement=f"SELECT * FROM tab {where}")
        assert refused[0] == "AccessDeniedException"


def test_rows_and_attributes_are_kept_from_statements_too(rows: None, as_user: Any) -> None:
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}
    user = as_user(allow("PartiQL*", Condition=own))
    for statement in STATEMENTS.values():
        own_row = statement.replace("'i'", "'a'").replace("'c': 1", "'c': 5")
        user.execute_statement(Statement=own_row)
        other = statement.replace("'i'", "'b'").replace("'a'", "'b'")
        assert code_of(user.execute_statement, Statement=other)[0] == "AccessDeniedException"
    some = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["p", "c"]}}
    user = as_user(allow("PartiQLSelect", "PartiQLUpdate", Condition=some))
    user.execute_statement(Statement="SELECT p, c FROM tab WHERE p = 'a'")
    for statement in (
        "SELECT v FROM tab WHERE p = 'a'",
        "SELECT p FROM tab WHERE p = 'a' AND v = 'x'",
        "UPDATE tab SET v = 1 WHERE p = 'a' AND c = 1",
        "UPDATE tab REMOVE v WHERE p = 'a' AND c = 1",
    ):
        assert code_of(user.execute_statement, Statement=statement)[0] == "AccessDeniedException"


def test_indexes_and_transactions_have_resources_and_conditions_of_their_own(
    indexed: None, as_user: Any, account: str
) -> None:
    table = f"arn:aws:dynamodb:us-east-1:{account}:table/tab"
    read = {"Statement": "SELECT * FROM tab.\"global\" WHERE y = 'y'"}
    as_user(allow("PartiQLSelect", resource=f"{table}/index/global")).execute_statement(**read)
    refused = code_of(as_user(allow("PartiQLSelect", resource=table)).execute_statement, **read)
    assert refused[0] == "AccessDeniedException"
    inside = {"StringEquals": {"dynamodb:EnclosingOperation": "ExecuteTransaction"}}
    user = as_user(allow("PartiQLInsert", Condition=inside))
    insert = {"Statement": "INSERT INTO tab VALUE {'p': 'q', 'c': '1'}"}
    assert code_of(user.execute_statement, **insert)[0] == "AccessDeniedException"
    user.execute_transaction(TransactStatements=[insert])
