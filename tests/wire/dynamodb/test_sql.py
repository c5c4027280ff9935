"""QuerySql, an operation of our own: SELECTs over tables by whoever may scan them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.dynamodb.regions import EAST, SOUTH, WEST, Regions, make, settle

from fogbank.server.choices import DynamoDBSettings
from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.kms import SERVICE as KMS
from fogbank.testing.cloud import Cloud

BOUNDED = {"dynamodb.sql_rows_max": 3, "dynamodb.sql_bytes_max": 2_000}


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud that answers QuerySql; a parameter gives its quotas."""
    quotas = {"dynamodb.sql_memory_bytes_max": 64 << 20, **getattr(request, "param", {})}
    config = Config(quotas=quotas, dynamodb=DynamoDBSettings(sql=True))
    with Cloud(services=[DYNAMODB, IAM, KMS], replay=True, config=config) as made:
        yield made


@pytest.fixture
def two(dynamodb: Any, make_table: Any) -> None:
    """Have two tables with items."""
    make_table("people")
    make_table("orders", partition="N")
    for at, name in (("a", "Ann"), ("b", "Bob")):
        dynamodb.put_item(TableName="people", Item={"p": {"S": at}, "name": {"S": name}})
    for at, (who, amount) in enumerate((("a", "2.50"), ("b", "7"), ("b", "0.75"))):
        item = {"p": {"N": str(at)}, "who": {"S": who}, "amount": {"N": amount}}
        dynamodb.put_item(TableName="orders", Item=item)


@pytest.fixture
def user(cloud: Cloud) -> Callable[..., Any]:
    """Make a user with some statements; return its client."""

    def made(name: str, *statements: Any) -> Any:
        iam = cloud.client("iam")
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        keys = {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}
        return cloud.client("dynamodb", **keys)

    return made


def allow(*tables: str, effect: str = "Allow", **condition: Any) -> Any:
    arns = [f"arn:aws:dynamodb:us-east-1:*:table/{each}" for each in tables]
    more = {"Condition": condition} if condition else {}
    return {"Effect": effect, "Action": "dynamodb:Scan", "Resource": arns, **more}


def items(client: Any, statement: str) -> Any:
    return client.query_sql(Statement=statement)["Items"]


JOINED = """
    SELECT name, sum(amount) AS total, rank() OVER (ORDER BY sum(amount) DESC) AS place
    FROM orders JOIN people ON who = people.p GROUP BY name ORDER BY place
"""


@pytest.mark.usefixtures("two")
def test_a_select_joins_tables_and_says_what_its_columns_are(dynamodb: Any) -> None:
    told = dynamodb.query_sql(Statement=JOINED)
    assert [each["Name"] for each in told["Columns"]] == ["name", "total", "place"]
    assert told["Columns"][0]["Type"] == "VARCHAR"
    assert told["Items"] == [
        {"name": {"S": "Bob"}, "total": {"N": "7.75"}, "place": {"N": "1"}},
        {"name": {"S": "Ann"}, "total": {"N": "2.5"}, "place": {"N": "2"}},
    ]


def test_values_come_back_as_attributes(dynamodb: Any) -> None:
    [row] = items(
        dynamodb,
        "SELECT NULL AS a, true AS b, 0.1::DOUBLE AS c, 'NaN'::DOUBLE AS d, [1, 2] AS e,"
        " {'x': 'y'} AS f, DATE '2026-12-01' AS g, '\\x01'::BLOB AS h, 1e130::DOUBLE AS i, 10 AS j",
    )
    assert row == {
        "a": {"NULL": True},
        "b": {"BOOL": True},
        "c": {"N": "0.1"},
        "d": {"S": "NaN"},
        "e": {"L": [{"N": "1"}, {"N": "2"}]},
        "f": {"M": {"x": {"S": "y"}}},
        "g": {"S": "2026-12-01"},
        "h": {"B": b"\1"},
        "i": {"S": "1E+130"},
        "j": {"N": "10"},
    }


@pytest.mark.usefixtures("two")
def test_each_table_that_a_statement_reads_asks_for_scan(user: Any, refusal: Any) -> None:
    some = user("some", allow("people"))
    assert len(items(some, "SELECT * FROM people")) == 2
    for reading in (
        JOINED,
        "WITH x AS (SELECT * FROM orders) SELECT count(*) FROM x",
        "SELECT name FROM people WHERE EXISTS (SELECT 1 FROM orders)",
        "SELECT (SELECT count(*) FROM orders) AS n",
        "SELECT name FROM people UNION SELECT who FROM orders",
    ):
        _, code, message = refusal(some.query_sql, Statement=reading)
        assert code == "AccessDeniedException"
        assert "dynamodb:Scan" in message
        assert "table/orders" in message
    all_but = user("allbut", allow("*"), allow("orders", effect="Deny"))
    assert refusal(all_but.query_sql, Statement=JOINED)[1] == "AccessDeniedException"
    columns = user("columns", allow("*", StringEquals={"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}))
    assert refusal(columns.query_sql, Statement=JOINED)[1] == "AccessDeniedException"
    assert len(items(user("all", allow("*")), JOINED)) == 2


@pytest.mark.usefixtures("two")
def test_what_a_table_says_of_its_readers_holds(dynamodb: Any, user: Any, refusal: Any) -> None:
    reader = user("reader", allow("*"))
    arn = dynamodb.describe_table(TableName="orders")["Table"]["TableArn"]
    account = arn.split(":")[4]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": f"arn:aws:iam::{account}:user/reader"},
                "Action": "dynamodb:Scan",
                "Resource": "*",
            }
        ],
    }
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(policy))
    assert len(items(reader, "SELECT * FROM people")) == 2
    assert refusal(reader.query_sql, Statement=JOINED)[1] == "AccessDeniedException"


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("cloud", [BOUNDED], indirect=True)
def test_what_goes_beyond_a_bound_is_refused(dynamodb: Any, refusal: Any) -> None:
    def reason(statement: str) -> str:
        status, code, message = refusal(dynamodb.query_sql, Statement=statement)
        assert (status, code) == (400, "ValidationException")
        return message

    assert "more than 3 rows" in reason("SELECT * FROM range(4)")
    assert "more than 2000 bytes" in reason("SELECT repeat('x', 2000) AS x")
    assert "one name" in reason("SELECT 1 AS x, 2 AS x")
    assert "one SELECT" in reason("SELECT 1; SELECT 2")
    assert "one SELECT" in reason("DELETE FROM people")
    assert "memory" in reason("SELECT max(x) FROM (SELECT list(range) AS x FROM range(50000000))")
    many = " UNION ALL ".join(f"SELECT * FROM t{number}" for number in range(17))
    assert reason(many) == "A statement may read no more than 16 tables"
    code = refusal(dynamodb.query_sql, Statement="SELECT * FROM nothing")[1]
    assert code == "ResourceNotFoundException"


@pytest.mark.usefixtures("two")
def test_nothing_is_kept_of_a_statement_that_has_ended(
    dynamodb: Any, cloud: Cloud, refusal: Any
) -> None:
    # A moment that is read keeps a table from being sealed under another key.
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    assert items(dynamodb, "SELECT count(*) AS n FROM people") == [{"n": {"N": "2"}}]
    assert "Error" in refusal(dynamodb.query_sql, Statement="SELECT name + 1 FROM people")[2]
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    dynamodb.update_table(TableName="people", SSESpecification=sse)
    cloud.advance(1_000)
    assert items(dynamodb, "SELECT count(*) AS n FROM people") == [{"n": {"N": "2"}}]
    cloud.client("kms").disable_key(KeyId=key)
    with pytest.raises(ClientError, match="disabled"):
        items(dynamodb, "SELECT * FROM people")


def test_it_is_there_where_it_is_asked_for_only() -> None:
    with Cloud(services=[DYNAMODB], replay=True) as cloud, pytest.raises(ClientError) as raised:
        cloud.client("dynamodb").query_sql(Statement="SELECT 1")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "dynamodb.sql" in str(raised.value)


@pytest.mark.slow
def test_a_strongly_consistent_table_is_read_in_each_of_its_regions(
    cloud: Cloud, refusal: Any
) -> None:
    at: Regions = {each: cloud.client("dynamodb", region=each) for each in (EAST, WEST, SOUTH)}
    make(at[EAST])
    create = [{"Create": {"RegionName": each}} for each in (WEST, SOUTH)]
    at[EAST].update_table(TableName="tab", ReplicaUpdates=create, MultiRegionConsistency="STRONG")
    settle(cloud)
    at[SOUTH].put_item(TableName="tab", Item={"p": {"S": "a"}, "c": {"N": "1"}})
    for client in at.values():
        assert items(client, "SELECT p, c FROM tab") == [{"p": {"S": "a"}, "c": {"N": "1"}}]
    make(at[WEST], TableName="own")
    code = refusal(at[WEST].query_sql, Statement="SELECT 1 FROM tab, own")[1]
    assert code == "NotImplemented"


LITTLE = {"dynamodb.page_bytes_max": 8_192, "dynamodb.burst_s": 1}


@pytest.mark.parametrize("cloud", [LITTLE], indirect=True)
def test_a_statement_takes_of_each_table_what_a_scan_of_it_takes(
    cloud: Cloud, dynamodb: Any, two: None, refusal: Any
) -> None:
    """Pages of 8 KB here: a table that runs out of units is waited for between two of them."""
    given = {"ReadCapacityUnits": 4, "WriteCapacityUnits": 1_000}
    dynamodb.update_table(
        TableName="people", BillingMode="PROVISIONED", ProvisionedThroughput=given
    )
    for at in range(8):
        item = {"p": {"S": f"{at}"}, "name": {"S": "x" * 4_000}}
        dynamodb.put_item(TableName="people", Item=item)
    cloud.advance(1_000)
    asked = {"Statement": JOINED, "ReturnConsumedCapacity": "TOTAL"}
    began = cloud.clock.now_ms()
    told = query(cloud, dynamodb, **asked)["ConsumedCapacity"]
    found = {each["TableName"]: each["CapacityUnits"] for each in told}
    scanned = scan_units(dynamodb, "orders")
    assert found["orders"] == scanned == 1
    assert found["people"] >= 8
    assert cloud.clock.now_ms() - began >= 1_000
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        drain(dynamodb, "people")
    code = refusal(dynamodb.query_sql, Statement="SELECT count(*) FROM people")[1]
    assert code == "ProvisionedThroughputExceededException"
    assert items(dynamodb, "SELECT count(*) AS n FROM orders") == [{"n": {"N": "3"}}]


def scan_units(client: Any, table: str) -> float:
    given = {"ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}
    return client.scan(TableName=table, **given)["ConsumedCapacity"]["CapacityUnits"]


def drain(client: Any, table: str) -> None:
    for _ in range(10):
        scan_units(client, table)


def query(cloud: Cloud, client: Any, **asked: Any) -> Any:
    """Ask while time goes on."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.query_sql, **asked)
        while not answer.done():
            cloud.advance(200)
        return answer.result()
