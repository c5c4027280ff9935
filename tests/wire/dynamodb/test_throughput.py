"""Throughput that holds: provisioned units, what is saved of them, and maxima on demand.

Source: Amazon DynamoDB Developer Guide, "Burst and adaptive capacity", "DynamoDB maximum throughput
for on-demand tables" and "Diagnosing throttling"; API Reference, ThrottlingReason.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.dynamodb.indexing import index

from fogbank.platform.metering import points
from fogbank.platform.metering.metrics import Series
from fogbank.platform.store.engine import Domain
from fogbank.server.config import Config, DynamoDBSettings
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.testing.cloud import Cloud

KEYS: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
}
NO_BURST = {"dynamodb.burst_s": 1}
ITEM = {"p": {"S": "x"}}
THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException")


def units(reads: int, writes: int) -> dict[str, int]:
    return {"ReadCapacityUnits": reads, "WriteCapacityUnits": writes}


def provisioned(dynamodb: Any, reads: int, writes: int, **members: Any) -> None:
    dynamodb.create_table(
        TableName="tab", ProvisionedThroughput=units(reads, writes), **{**KEYS, **members}
    )


def admitted(call: Any, **given: Any) -> int:
    """Call until it is throttled; return how often it was not."""
    for count in range(1_000):
        try:
            call(**given)
        except ClientError as error:
            if error.response["Error"]["Code"] not in THROTTLED:
                raise
            return count
    raise AssertionError("nothing was throttled")


def throttled(call: Any, **given: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        call(**given)
    return caught.value.response


def put(dynamodb: Any) -> int:
    return admitted(dynamodb.put_item, TableName="tab", Item=ITEM)


def get(dynamodb: Any, **given: Any) -> int:
    return admitted(dynamodb.get_item, TableName="tab", Key=ITEM, ConsistentRead=True, **given)


@pytest.mark.parametrize("cloud", [{"dynamodb.burst_s": 20}], indirect=True)
def test_a_table_gives_what_it_earns_and_what_it_saved(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 3, 2)
    assert put(dynamodb) == 40
    assert get(dynamodb) == 60
    cloud.advance(1_000)
    assert put(dynamodb) == 2
    assert get(dynamodb) == 3
    cloud.advance(60_000)
    assert put(dynamodb) == 40


def test_five_minutes_are_saved_unless_a_setting_says_otherwise(dynamodb: Any) -> None:
    provisioned(dynamodb, 1, 1)
    large = {**ITEM, "v": {"S": "x" * 19_500}}
    assert admitted(dynamodb.put_item, TableName="tab", Item=large) == 15


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_what_is_throttled_says_of_what(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 1, 1)
    put(dynamodb)
    told = throttled(dynamodb.put_item, TableName="tab", Item=ITEM)
    assert told["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert told["Error"]["Message"] == (
        "The level of configured provisioned throughput for the table was exceeded. Consider"
        " increasing your provisioning level with the UpdateTable API."
    )
    arn = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
    reason = "TableWriteProvisionedThroughputExceeded"
    assert told["ThrottlingReasons"] == [{"reason": reason, "resource": arn}]
    get(dynamodb)
    told = throttled(dynamodb.get_item, TableName="tab", Key=ITEM)
    assert told["ThrottlingReasons"][0]["reason"] == "TableReadProvisionedThroughputExceeded"


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_a_request_may_cost_more_than_is_left_and_is_paid_off(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 1, 2)
    large = {**ITEM, "v": {"S": "x" * 9_500}}
    dynamodb.put_item(TableName="tab", Item=large)
    assert put(dynamodb) == 0
    cloud.advance(3_900)
    assert put(dynamodb) == 0
    cloud.advance(200)
    assert put(dynamodb) == 1


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_a_write_costs_what_its_condition_refuses(cloud: Cloud, dynamodb: Any) -> None:
    """AWS: a failed condition consumes write units (Developer Guide, "Condition expressions")."""
    provisioned(dynamodb, 1, 5)
    dynamodb.put_item(TableName="tab", Item={**ITEM, "v": {"S": "x" * 1_500}})
    with pytest.raises(ClientError, match="conditional request failed"):
        dynamodb.put_item(TableName="tab", Item=ITEM, ConditionExpression="attribute_not_exists(p)")
    assert admitted(dynamodb.delete_item, TableName="tab", Key={"p": {"S": "none"}}) == 1


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_an_update_costs_the_larger_of_before_and_after(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 1, 10)
    dynamodb.update_item(
        TableName="tab",
        Key=ITEM,
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "x" * 6_500}},
    )
    assert put(dynamodb) == 1


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_pages_take_what_they_read(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 10, 40)
    for number in range(4):
        item = {"p": {"S": str(number)}, "v": {"S": "x" * 8_000}}
        dynamodb.put_item(TableName="tab", Item=item)
    scan = {"TableName": "tab", "ConsistentRead": True}
    assert admitted(dynamodb.scan, **scan) == 2
    query = {
        "TableName": "tab",
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "1"}},
    }
    assert admitted(dynamodb.query, **query) == 0
    cloud.advance(1_300)
    assert admitted(dynamodb.query, **query) == 7


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_an_index_holds_back_the_writes_that_change_it(cloud: Cloud, dynamodb: Any) -> None:
    """AWS: a write is throttled if an index of it has not enough (Developer Guide, "Using global
    secondary indexes", write throttling)."""
    by_g = {**index("by-g", "g"), "ProvisionedThroughput": units(2, 3)}
    definitions = [*KEYS["AttributeDefinitions"], {"AttributeName": "g", "AttributeType": "S"}]
    provisioned(dynamodb, 50, 50, GlobalSecondaryIndexes=[by_g], AttributeDefinitions=definitions)

    def given(number: int) -> dict[str, Any]:
        return {"p": {"S": str(number)}, "g": {"S": "g"}}

    for number in range(3):
        dynamodb.put_item(TableName="tab", Item=given(number))
    told = throttled(dynamodb.put_item, TableName="tab", Item=given(3))
    assert told["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert "for one or more global secondary indexes of the table" in told["Error"]["Message"]
    [reason] = told["ThrottlingReasons"]
    assert reason["reason"] == "IndexWriteProvisionedThroughputExceeded"
    assert reason["resource"].endswith("table/tab/index/by-g")
    assert "Item" not in dynamodb.get_item(TableName="tab", Key={"p": {"S": "3"}})
    assert put(dynamodb) == 47
    query = {
        "TableName": "tab",
        "IndexName": "by-g",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "g"}},
    }
    assert admitted(dynamodb.query, **query) == 4
    told = throttled(dynamodb.query, **query)
    assert told["ThrottlingReasons"][0]["reason"] == "IndexReadProvisionedThroughputExceeded"
    assert get(dynamodb) == 50


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_batches_give_back_what_there_is_no_throughput_for(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 2, 3)
    puts = [{"PutRequest": {"Item": {"p": {"S": str(number)}}}} for number in range(5)]
    reply = dynamodb.batch_write_item(RequestItems={"tab": puts}, ReturnConsumedCapacity="TOTAL")
    assert reply["UnprocessedItems"] == {"tab": puts[3:]}
    assert reply["ConsumedCapacity"][0]["CapacityUnits"] == 3
    told = throttled(dynamodb.batch_write_item, RequestItems={"tab": puts})
    assert told["Error"]["Code"] == "ProvisionedThroughputExceededException"
    keys = [each["PutRequest"]["Item"] for each in puts]
    asked = {"tab": {"Keys": keys, "ConsistentRead": True}}
    reply = dynamodb.batch_get_item(RequestItems=asked)
    assert sorted(each["p"]["S"] for each in reply["Responses"]["tab"]) == ["0", "1"]
    assert reply["UnprocessedKeys"] == {"tab": {"Keys": keys[2:], "ConsistentRead": True}}
    told = throttled(dynamodb.batch_get_item, RequestItems=asked)
    assert told["Error"]["Code"] == "ProvisionedThroughputExceededException"
    cloud.advance(1_000)
    reply = dynamodb.batch_write_item(RequestItems={"tab": puts[3:]})
    assert reply["UnprocessedItems"] == {}


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_a_transaction_is_cancelled_whole_for_want_of_throughput(
    cloud: Cloud, dynamodb: Any
) -> None:
    provisioned(dynamodb, 4, 5)
    parts = [{"Put": {"TableName": "tab", "Item": {"p": {"S": each}}}} for each in "abcd"]
    told = throttled(dynamodb.transact_write_items, TransactItems=parts)
    assert told["Error"]["Code"] == "TransactionCanceledException"
    codes = [each["Code"] for each in told["CancellationReasons"]]
    assert codes == ["None", "None", "None", "ProvisionedThroughputExceeded"]
    assert set(told["CancellationReasons"][3]) == {"Code", "Message"}
    # Nothing was taken, and so two parts have room, at twice their cost.
    dynamodb.transact_write_items(TransactItems=parts[:2])
    assert put(dynamodb) == 1
    gets = [{"Get": {"TableName": "tab", "Key": {"p": {"S": each}}}} for each in "abc"]
    told = throttled(dynamodb.transact_get_items, TransactItems=gets)
    assert [each["Code"] for each in told["CancellationReasons"]] == [
        "None",
        "None",
        "ProvisionedThroughputExceeded",
    ]
    dynamodb.transact_get_items(TransactItems=gets[:2])
    assert get(dynamodb) == 0


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_statements_are_throttled_as_what_they_are_like(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 2, 2)
    update = {"Statement": "UPDATE tab SET v = 1 WHERE p = 'x'"}
    dynamodb.put_item(TableName="tab", Item=ITEM)
    assert admitted(dynamodb.execute_statement, **update) == 1
    select = {"Statement": "SELECT * FROM tab WHERE p = 'x'", "ConsistentRead": True}
    assert admitted(dynamodb.execute_statement, **select) == 2
    responses = dynamodb.batch_execute_statement(Statements=[select, update])["Responses"]
    assert [each["Error"]["Code"] for each in responses] == ["ProvisionedThroughputExceeded"] * 2
    cloud.advance(1_000)
    responses = dynamodb.batch_execute_statement(Statements=[select] * 3)["Responses"]
    assert ["Error" in each for each in responses] == [False, False, True]


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_more_units_are_in_force_at_once(cloud: Cloud, dynamodb: Any, make_table: Any) -> None:
    provisioned(dynamodb, 1, 1)
    put(dynamodb)
    dynamodb.update_table(TableName="tab", ProvisionedThroughput=units(1, 7))
    # Bodies run on older rows first; where these have fewer units, the bucket has them too.
    for number in range(4):
        make_table(f"other{number}")
    cloud.advance(1_000)
    assert put(dynamodb) == 7


def test_a_maximum_on_demand_holds(cloud: Cloud, dynamodb: Any, make_table: Any) -> None:
    make_table()
    dynamodb.update_table(
        TableName="tab", OnDemandThroughput={"MaxReadRequestUnits": 2, "MaxWriteRequestUnits": 4}
    )
    assert put(dynamodb) == 4
    told = throttled(dynamodb.put_item, TableName="tab", Item=ITEM)
    assert told["Error"]["Code"] == "ThrottlingException"
    assert told["Error"]["Message"] == (
        "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
    )
    assert told["throttlingReasons"][0]["reason"] == "TableWriteMaxOnDemandThroughputExceeded"
    assert get(dynamodb) == 2
    parts = [{"Put": {"TableName": "tab", "Item": ITEM}}]
    told = throttled(dynamodb.transact_write_items, TransactItems=parts)
    assert told["CancellationReasons"][0]["Code"] == "ThrottlingError"
    dynamodb.update_table(TableName="tab", OnDemandThroughput={"MaxWriteRequestUnits": -1})
    for _ in range(20):
        dynamodb.put_item(TableName="tab", Item=ITEM)
    assert get(dynamodb) == 0


@pytest.mark.parametrize(
    "cloud",
    [
        {
            "dynamodb.partition_write_units_max": 3,
            "dynamodb.partition_read_units_max": 2,
            **NO_BURST,
        }
    ],
    indirect=True,
)
def test_one_partition_takes_no_more_than_a_partition_has(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 5, 5)
    assert put(dynamodb) == 3
    told = throttled(dynamodb.put_item, TableName="tab", Item=ITEM)
    assert told["ThrottlingReasons"][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
    other = {"p": {"S": "y"}}
    assert admitted(dynamodb.put_item, TableName="tab", Item=other) == 2
    assert get(dynamodb) == 2


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_a_hot_partition_takes_all_that_its_table_has(cloud: Cloud, dynamodb: Any) -> None:
    provisioned(dynamodb, 1, 9)
    assert put(dynamodb) == 9


@pytest.mark.parametrize("cloud", [{"dynamodb.on_demand_write_units_max": 6}], indirect=True)
def test_a_setting_bounds_tables_on_demand(dynamodb: Any, make_table: Any) -> None:
    make_table()
    assert put(dynamodb) == 6
    told = throttled(dynamodb.put_item, TableName="tab", Item=ITEM)
    assert told["throttlingReasons"][0]["reason"] == "TableWriteAccountLimitExceeded"


def test_nothing_is_throttled_where_a_setting_says_so() -> None:
    config = Config(quotas=NO_BURST, dynamodb=DynamoDBSettings(enforce_throughput=False))
    with Cloud(services=[DYNAMODB], replay=True, config=config) as cloud:
        dynamodb = cloud.client("dynamodb")
        provisioned(dynamodb, 1, 1)
        for _ in range(20):
            dynamodb.put_item(TableName="tab", Item=ITEM)
        assert dynamodb.scan(TableName="tab")["Count"] == 1


@pytest.mark.parametrize(
    "cloud",
    [{"dynamodb.account_read_units_max": 10, "dynamodb.table_write_units_max": 8}],
    indirect=True,
)
def test_limits_are_told_and_hold(dynamodb: Any, refusal: Any) -> None:
    told = dynamodb.describe_limits()
    told.pop("ResponseMetadata")
    assert told == {
        "AccountMaxReadCapacityUnits": 10,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 8,
    }
    provisioned(dynamodb, 6, 1)
    more = {"TableName": "two", **KEYS}
    code, message = refusal(dynamodb.create_table, **more, ProvisionedThroughput=units(5, 1))[1:]
    assert code == "LimitExceededException"
    assert "Current ReadCapacityUnits reserved by the account: 6. Limit: 10." in message
    dynamodb.create_table(**more, ProvisionedThroughput=units(4, 1))
    update = {"TableName": "two", "ProvisionedThroughput": units(4, 9)}
    assert "is above the per table maximum" in refusal(dynamodb.update_table, **update)[2]


@pytest.mark.parametrize("cloud", [NO_BURST], indirect=True)
def test_what_is_throttled_is_kept_as_metrics_once_a_request(dynamodb: Any, cloud: Cloud) -> None:
    provisioned(dynamodb, 1, 1)
    put(dynamodb)
    request = {"tab": [{"PutRequest": {"Item": {"p": {"S": each}}}} for each in "ab"]}
    throttled(dynamodb.batch_write_item, RequestItems=request)

    async def work() -> dict[tuple[str, ...], dict[str, float]]:
        await cloud.app.flush_all()
        found: dict[tuple[str, ...], dict[str, float]] = {}
        (system,) = cloud.engine.system_stores()
        for record in await points.list_series(system, "AWS/DynamoDB"):
            series = Series(record.namespace, record.dimensions)
            store = cloud.engine.store_of(Domain(*record.domain))

            async def body(tr: Any, of: Series = series) -> list[points.Point]:
                return await points.list_points(tr, of, 3_600_000, 0, 1 << 60, 10)

            (point,) = await store.read(body)
            place = tuple(value for _, value in record.dimensions)
            found[place] = {name: value.total for name, value in point.values.items()}
        return found

    found = cloud.run(work())
    assert found["PutItem", "tab"] == {"ThrottledRequests": 1.0}
    assert found["BatchWriteItem", "tab"] == {"ThrottledRequests": 1.0}
    assert found["tab",]["WriteThrottleEvents"] >= 3.0
