"""Strongly consistent global tables: one set of items, whatever the region.

Source: Amazon DynamoDB Developer Guide, "How DynamoDB global tables work", "Multi-Region strong
consistency (MRSC)"; answers of AWS in October 2026 (ack-api-quirks, DDB-TABLE-202 and 257 to 263).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.dynamodb.bulks import asked
from tests.wire.dynamodb.regions import (
    EAST,
    SOUTH,
    WEST,
    Regions,
    add,
    begin,
    create,
    delete,
    described,
    held,
    item,
    make,
    put,
    settle,
    statuses,
)

from fogbank.platform.store.engine import Domain
from fogbank.services.dynamodb.schema import TABLES
from fogbank.services.dynamodb.state.strong import refresh_member
from fogbank.testing.cloud import Cloud

pytestmark = pytest.mark.slow

SET = " for global tables with MultiRegionConsistency set to STRONG"
ONE = f"Deletion of only one table replica is not supported{SET}."
COUNT = f"Unsupported replica count{SET}."
KEY = {"p": {"S": "a"}, "c": {"N": "1"}}


@pytest.fixture
def witnessed(cloud: Cloud, at: Regions) -> Regions:
    """Have one with two replicas and a witness."""
    make(at[WEST])
    begin(at[WEST], EAST, witness=SOUTH)
    settle(cloud)
    return at


def test_a_write_in_any_region_is_read_in_every_other_as_soon_as_it_is_acknowledged(
    three: Regions,
) -> None:
    for number, region in enumerate((WEST, EAST, SOUTH)):
        put(three[region], "a", number, at=region)
        for other in (WEST, EAST, SOUTH):
            found = three[other].get_item(
                TableName="tab", Key=item("a", number), ConsistentRead=True
            )
            assert found["Item"] == item("a", number, at=region)
    assert held(three[WEST]) == held(three[EAST]) == held(three[SOUTH])


def test_conditions_decide_on_what_any_region_has_written(three: Regions, refusal: Any) -> None:
    put(three[WEST], "a", 1)
    given = {
        "TableName": "tab",
        "Item": item("a", 1),
        "ConditionExpression": "attribute_not_exists(p)",
    }
    assert refusal(three[EAST].put_item, **given)[1] == "ConditionalCheckFailedException"
    for region in (WEST, EAST, SOUTH, EAST):
        three[region].update_item(
            TableName="tab",
            Key=KEY,
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
    assert three[SOUTH].get_item(TableName="tab", Key=KEY)["Item"]["n"] == {"N": "4"}
    old = three[SOUTH].delete_item(TableName="tab", Key=KEY, ReturnValues="ALL_OLD")
    assert old["Attributes"]["n"] == {"N": "4"}
    assert held(three[WEST]) == []


def test_every_kind_of_read_and_write_works_in_every_region(three: Regions) -> None:
    east, south = three[EAST], three[SOUTH]
    puts = [{"PutRequest": {"Item": item("b", number)}} for number in range(3)]
    assert east.batch_write_item(RequestItems={"tab": puts})["UnprocessedItems"] == {}
    keys = [item("b", number) for number in range(3)]
    got = south.batch_get_item(RequestItems={"tab": {"Keys": keys}})["Responses"]["tab"]
    assert sorted(each["c"]["N"] for each in got) == ["0", "1", "2"]
    query = {
        "TableName": "tab",
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "b"}},
    }
    first = south.query(**query, Limit=2)
    rest = south.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [each["c"]["N"] for each in first["Items"] + rest["Items"]] == ["0", "1", "2"]
    text = "SELECT * FROM tab WHERE p = 'b' AND c = 1"
    assert south.execute_statement(Statement=text)["Items"] == [item("b", 1)]
    east.execute_statement(Statement="INSERT INTO tab VALUE {'p': 'b', 'c': 7}")
    two = [{"Statement": "DELETE FROM tab WHERE p = 'b' AND c = 7"}, {"Statement": text}]
    answers = east.batch_execute_statement(Statements=two)["Responses"]
    assert answers[1]["Item"] == item("b", 1)
    assert len(held(three[WEST])) == 3


def test_large_items_are_written_and_read_in_every_region(three: Regions) -> None:
    text = "x" * 390_000
    put(three[EAST], "a", 1, text=text)
    put(three[WEST], "a", 2, text=text)
    for region in (WEST, EAST, SOUTH):
        assert [each["text"]["S"] for each in held(three[region])] == [text, text]


def test_a_new_one_is_described_in_every_region_as_the_others_are(
    cloud: Cloud, at: Regions
) -> None:
    """DDB-TABLE-258 and -259."""
    make(at[WEST])
    told = begin(at[WEST], EAST, SOUTH)
    assert told["TableStatus"] == "UPDATING"
    assert told["MultiRegionConsistency"] == "STRONG"
    assert told["GlobalTableVersion"] == "2019.11.21"
    settle(cloud)
    tables = {region: described(at[region]) for region in (WEST, EAST, SOUTH)}
    for region, table in tables.items():
        assert statuses(at[region]) == dict.fromkeys({"", WEST, EAST, SOUTH} - {region}, "ACTIVE")
        assert table["MultiRegionConsistency"] == "STRONG"
        assert table["TableArn"].split(":")[3] == region
        assert "GlobalTableWitnesses" not in table
    assert len({table["TableId"] for table in tables.values()}) == 3
    assert len({json.dumps(each["KeySchema"]) for each in tables.values()}) == 1


def test_a_witness_is_told_of_and_is_no_table(witnessed: Regions, refusal: Any) -> None:
    """DDB-TABLE-259: a table of the same name may stand beside it."""
    for region in (WEST, EAST):
        told = described(witnessed[region])
        assert told["GlobalTableWitnesses"] == [{"RegionName": SOUTH, "WitnessStatus": "ACTIVE"}]
        assert len(told["Replicas"]) == 1
    name = {"TableName": "tab"}
    assert refusal(witnessed[SOUTH].describe_table, **name)[1] == "ResourceNotFoundException"
    assert witnessed[SOUTH].list_tables()["TableNames"] == []
    make(witnessed[SOUTH])
    put(witnessed[EAST], "a", 1)
    assert held(witnessed[SOUTH]) == []
    assert len(held(witnessed[WEST])) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ReplicaUpdates": create(EAST)}, COUNT),
        ({"ReplicaUpdates": create(EAST, SOUTH, "us-west-2")}, COUNT),
        (
            {"ReplicaUpdates": create(EAST), "GlobalTableWitnessUpdates": create(EAST)},
            "Cannot target multiple regions with the same action",
        ),
        (
            {"ReplicaUpdates": create(EAST), "GlobalTableWitnessUpdates": create(WEST)},
            "Cannot add a witness in the same region as an existing replica",
        ),
        (
            {"ReplicaUpdates": create(EAST), "GlobalTableWitnessUpdates": create(SOUTH, SOUTH)},
            "1 validation error detected: Value '[",
        ),
        (
            {"ReplicaUpdates": delete(EAST, SOUTH)},
            "Only Replica Create actions are supported when MultiRegionConsistency parameter is",
        ),
        ({"ReplicaUpdates": create("us-fake-1", SOUTH)}, "Region us-fake-1 is not supported."),
        ({"ReplicaUpdates": create(WEST, SOUTH)}, "Cannot add or delete the local region"),
        (
            {"ReplicaUpdates": create(EAST, SOUTH), "DeletionProtectionEnabled": True},
            "Requests that modify replicas or witnesses must not also modify other fields",
        ),
        ({}, "At least one of ProvisionedThroughput, "),
        ({"GlobalTableWitnessUpdates": create(SOUTH)}, "At least one of ProvisionedThroughput, "),
    ],
)
def test_what_is_asked_of_a_new_one_is_checked_in_the_words_of_dynamodb(
    at: Regions, refusal: Any, given: Any, words: str
) -> None:
    """DDB-TABLE-257."""
    make(at[WEST])
    told = refusal(at[WEST].update_table, TableName="tab", MultiRegionConsistency="STRONG", **given)
    assert told[:2] == (400, "ValidationException")
    assert told[2].startswith(words)
    assert "Replicas" not in described(at[WEST])


@pytest.mark.parametrize("consistency", [{}, {"MultiRegionConsistency": "EVENTUAL"}])
def test_a_witness_asks_for_strong_consistency(
    at: Regions, refusal: Any, consistency: dict[str, str]
) -> None:
    make(at[WEST])
    told = refusal(
        at[WEST].update_table,
        TableName="tab",
        ReplicaUpdates=create(EAST),
        GlobalTableWitnessUpdates=create(SOUTH),
        **consistency,
    )
    assert told[2] == (
        "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is"
        " present."
    )


def test_a_table_with_items_or_what_such_tables_lack_does_not_become_one(
    cloud: Cloud, at: Regions, refusal: Any
) -> None:
    """Developer Guide: it must be empty; no time to live, no local index."""
    given = {
        "TableName": "tab",
        "ReplicaUpdates": create(EAST, SOUTH),
        "MultiRegionConsistency": "STRONG",
    }
    make(at[WEST])
    put(at[WEST], "a", 1)
    assert "must be empty" in refusal(at[WEST].update_table, **given)[2]
    at[WEST].delete_item(TableName="tab", Key=KEY)
    lasting = {"Enabled": True, "AttributeName": "t"}
    at[WEST].update_time_to_live(TableName="tab", TimeToLiveSpecification=lasting)
    assert "Time to Live is not supported" in refusal(at[WEST].update_table, **given)[2]
    at[WEST].update_time_to_live(
        TableName="tab", TimeToLiveSpecification={**lasting, "Enabled": False}
    )
    begin(at[WEST], EAST, SOUTH)
    settle(cloud)
    for region in (WEST, EAST):
        told = refusal(
            at[region].update_time_to_live, TableName="tab", TimeToLiveSpecification=lasting
        )
        assert told[1] == "ValidationException"


def test_a_table_of_the_name_elsewhere_forbids_one(at: Regions, refusal: Any) -> None:
    make(at[WEST])
    make(at[SOUTH])
    given = {"TableName": "tab", "ReplicaUpdates": create(EAST, SOUTH)}
    told = refusal(at[WEST].update_table, **given, MultiRegionConsistency="STRONG")
    assert "already existed as tables" in told[2]


def test_an_eventually_consistent_one_does_not_become_strongly_consistent(
    two: Regions, refusal: Any
) -> None:
    """DDB-TABLE-202."""
    given = {"TableName": "tab", "MultiRegionConsistency": "STRONG"}
    told = refusal(two[WEST].update_table, **given, ReplicaUpdates=create(SOUTH))
    assert told == (400, "ValidationException", COUNT)
    told = refusal(two[WEST].update_table, **given, ReplicaUpdates=create(SOUTH, "us-west-2"))
    assert "unsupported on existing global table" in told[2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"ReplicaUpdates": create("us-west-2")},
            "Cannot add replicas to a global table with strong MultiRegionConsistency",
        ),
        (
            {"ReplicaUpdates": create("us-west-2"), "MultiRegionConsistency": "STRONG"},
            COUNT,
        ),
        (
            {"ReplicaUpdates": create("us-west-2"), "MultiRegionConsistency": "EVENTUAL"},
            "MultiRegionConsistency parameter is unsupported on existing global table",
        ),
        (
            {"ReplicaUpdates": delete(EAST), "MultiRegionConsistency": "STRONG"},
            "Only Replica Create actions are supported when MultiRegionConsistency",
        ),
        (
            {"ReplicaUpdates": delete(EAST)},
            "Update table delete operation does not include all witnesses.",
        ),
        (
            {
                "ReplicaUpdates": delete(EAST),
                "GlobalTableWitnessUpdates": delete("us-west-2"),
            },
            "Update global table operation failed because one or more witnesses were not part of",
        ),
        (
            {"ReplicaUpdates": delete("us-west-2")},
            "Update global table operation failed because one or more replicas were not part of",
        ),
    ],
)
def test_the_regions_of_one_are_frozen(
    witnessed: Regions, refusal: Any, given: Any, words: str
) -> None:
    """DDB-TABLE-260."""
    told = refusal(witnessed[WEST].update_table, TableName="tab", **given)
    assert told[:2] == (400, "ValidationException")
    assert told[2].startswith(words)


def test_no_replica_goes_alone(three: Regions, refusal: Any) -> None:
    told = (400, "ValidationException", ONE)
    given = {"TableName": "tab", "ReplicaUpdates": delete(EAST)}
    assert refusal(three[WEST].update_table, **given) == told
    for region in (WEST, EAST, SOUTH):
        assert refusal(three[region].delete_table, TableName="tab") == told


@pytest.mark.parametrize("by", ["three", "witnessed"])
def test_all_other_replicas_go_together_and_a_plain_table_stays(
    cloud: Cloud, request: pytest.FixtureRequest, refusal: Any, by: str
) -> None:
    """DDB-TABLE-261."""
    at: Regions = request.getfixturevalue(by)
    put(at[EAST], "a", 1)
    regions = [EAST, SOUTH] if by == "three" else [EAST]
    given = {} if by == "three" else {"GlobalTableWitnessUpdates": delete(SOUTH)}
    told = at[WEST].update_table(TableName="tab", ReplicaUpdates=delete(*regions), **given)
    assert told["TableDescription"]["TableStatus"] == "UPDATING"
    settle(cloud)
    left = described(at[WEST])
    absent = {"Replicas", "GlobalTableVersion", "MultiRegionConsistency", "GlobalTableWitnesses"}
    assert absent.isdisjoint(left)
    assert left["TableStatus"] == "ACTIVE"
    for region in regions:
        name = {"TableName": "tab"}
        assert refusal(at[region].describe_table, **name)[1] == "ResourceNotFoundException"
        assert refusal(at[region].scan, **name)[1] == "ResourceNotFoundException"
    assert held(at[WEST]) == [item("a", 1)]
    add(at[WEST], SOUTH)
    settle(cloud)
    assert held(at[SOUTH]) == [item("a", 1)]


def test_a_replica_that_is_protected_does_not_go(
    cloud: Cloud, three: Regions, refusal: Any
) -> None:
    """DDB-TABLE-263: protection is each region's own."""
    three[EAST].update_table(TableName="tab", DeletionProtectionEnabled=True)
    assert described(three[EAST])["DeletionProtectionEnabled"]
    assert not described(three[WEST])["DeletionProtectionEnabled"]
    given = {"TableName": "tab", "ReplicaUpdates": delete(EAST, SOUTH)}
    assert "protected against deletion" in refusal(three[WEST].update_table, **given)[2]
    settle(cloud)
    assert described(three[EAST])["DeletionProtectionEnabled"]


@pytest.mark.parametrize("region", [WEST, EAST])
def test_transactions_refuse_a_strongly_consistent_table(
    three: Regions, refusal: Any, region: str
) -> None:
    """Developer Guide: transaction operations answer an error."""
    client = three[region]
    write = {"Put": {"TableName": "tab", "Item": item("a", 1)}}
    read = {"Get": {"TableName": "tab", "Key": KEY}}
    words = "Transactional operations are not supported on global tables with Multi"
    for told in (
        refusal(client.transact_write_items, TransactItems=[write]),
        refusal(client.transact_get_items, TransactItems=[read]),
        refusal(
            client.execute_transaction,
            TransactStatements=[{"Statement": "INSERT INTO tab VALUE {'p': 'b', 'c': 7}"}],
        ),
    ):
        assert told[:2] == (400, "ValidationException")
        assert told[2].startswith(words)
    assert held(three[WEST]) == []


def test_what_replicas_share_is_changed_in_any_region(cloud: Cloud, three: Regions) -> None:
    put(three[SOUTH], "a", 1, g="x")
    three[EAST].update_table(
        TableName="tab",
        AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "byg",
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    settle(cloud)
    for region in (WEST, EAST, SOUTH):
        [index] = described(three[region])["GlobalSecondaryIndexes"]
        assert (index["IndexName"], index["IndexStatus"]) == ("byg", "ACTIVE")
        assert index["IndexArn"].split(":")[3] == region
        found = three[region].query(
            TableName="tab",
            IndexName="byg",
            KeyConditionExpression="g = :g",
            ExpressionAttributeValues={":g": {"S": "x"}},
        )
        assert found["Items"] == [item("a", 1, g="x")]


def test_tags_are_each_regions_own(three: Regions) -> None:
    arns = {region: described(three[region])["TableArn"] for region in (WEST, EAST)}
    tags = [{"Key": "k", "Value": "v"}]
    three[EAST].tag_resource(ResourceArn=arns[EAST], Tags=tags)
    told = {
        region: three[region].list_tags_of_resource(ResourceArn=arns[region]) for region in arns
    }
    assert (told[EAST]["Tags"], told[WEST]["Tags"]) == (tags, [])


def test_the_policy_of_a_region_rules_there_and_nowhere_else(
    cloud: Cloud, three: Regions, refusal: Any
) -> None:
    """What is said of the replica is asked, not what is said of the table that has the items."""
    iam = cloud.client("iam")
    user = iam.create_user(UserName="alice")["User"]["Arn"]
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_user_policy(
        UserName="alice",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    made = iam.create_access_key(UserName="alice")["AccessKey"]
    key = {"access_key": made["AccessKeyId"], "secret_key": made["SecretAccessKey"]}
    alice = {r: cloud.client("dynamodb", region=r, **key) for r in (WEST, EAST, SOUTH)}
    for client in alice.values():
        put(client, "a", 1)
    arn = described(three[EAST])["TableArn"]
    deny = {
        "Effect": "Deny",
        "Action": "dynamodb:*Item",
        "Resource": arn,
        "Principal": {"AWS": user},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    three[EAST].put_resource_policy(ResourceArn=arn, Policy=document)
    denied = refusal(alice[EAST].put_item, TableName="tab", Item=item("a", 2))
    assert denied[1] == "AccessDeniedException"
    batch = {"RequestItems": {"tab": [{"PutRequest": {"Item": item("a", 2)}}]}}
    assert refusal(alice[EAST].batch_write_item, **batch)[1] == "AccessDeniedException"
    put(alice[WEST], "a", 3)
    put(alice[SOUTH], "a", 4)
    three[EAST].delete_resource_policy(ResourceArn=arn)
    put(alice[EAST], "a", 5)
    assert [each["c"]["N"] for each in held(three[WEST])] == ["1", "3", "4", "5"]


def test_a_tables_leading_keys_are_held_against_a_policy_in_every_region(
    as_user: Callable[..., Any], cloud: Cloud, at: Regions, refusal: Any
) -> None:
    make(at[WEST])
    begin(at[WEST], "us-west-2", EAST)
    settle(cloud)
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["alice"]}}
    client = as_user({"Action": "dynamodb:*", "Condition": condition})
    put(client, "alice", 1)
    assert refusal(client.put_item, TableName="tab", Item=item("bob", 1))[1] == (
        "AccessDeniedException"
    )
    query = {
        "TableName": "tab",
        "IndexName": "none",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "x"}},
    }
    assert refusal(client.query, **query)[1] == "ValidationException"
    assert held(at[WEST]) == [item("alice", 1)]


@pytest.mark.parametrize("region", [WEST, EAST])
def test_the_parts_of_a_batch_run_where_the_items_of_its_tables_lie(
    three: Regions, refusal: Any, region: str
) -> None:
    """A batch is no transaction: each item is read and written for itself."""
    for each in (WEST, EAST):
        make(three[each], TableName="plain")
    client, one = three[region], [{"PutRequest": {"Item": item("a", 1)}}]
    both = {"plain": one, "tab": one}
    given = {"RequestItems": both, "ReturnConsumedCapacity": "TOTAL"}
    told = client.batch_write_item(**given)
    assert told["UnprocessedItems"] == {}
    assert {each["TableName"] for each in told["ConsumedCapacity"]} == {"plain", "tab"}
    keys = {"Keys": [item("a", 1), item("b", 7)]}
    found = client.batch_get_item(RequestItems={"tab": keys, "plain": keys})["Responses"]
    assert found == {"tab": [item("a", 1)], "plain": [item("a", 1)]}
    texts = [
        "INSERT INTO plain VALUE {'p': 'b', 'c': 7}",
        "INSERT INTO tab VALUE {'p': 'b', 'c': 7}",
        "what is this",
        "DELETE FROM tab WHERE p = 'a' AND c = 1",
        "DELETE FROM plain WHERE p = 'a' AND c = 1",
        "INSERT INTO none VALUE {'p': 'b', 'c': 7}",
    ]
    told = client.batch_execute_statement(Statements=[{"Statement": text} for text in texts])
    assert ["Error" in each for each in told["Responses"]] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    assert [each.get("TableName") for each in told["Responses"][:2]] == ["plain", "tab"]
    assert client.scan(TableName="plain")["Items"] == held(three[SOUTH]) == [item("b", 7)]
    other = EAST if region == WEST else WEST
    assert three[other].scan(TableName="plain")["Items"] == []


def test_a_batch_over_several_homes_is_checked_whole_before_the_first_of_it_is_done(
    three: Regions, refusal: Any
) -> None:
    client = three[EAST]
    make(client, TableName="plain")
    good = [{"PutRequest": {"Item": item("a", 1)}}]
    bad = [{"PutRequest": {"Item": {"p": {"S": "a"}}}}]
    for both in ({"plain": good, "tab": bad}, {"tab": good, "plain": bad}):
        assert refusal(client.batch_write_item, RequestItems=both)[1] == "ValidationException"
    key, wrong = {"Keys": [item("a", 1)]}, {"Keys": [{"p": {"S": "a"}}]}
    told = refusal(client.batch_get_item, RequestItems={"tab": key, "plain": wrong})
    assert told[1] == "ValidationException"
    told = refusal(client.batch_get_item, RequestItems={"tab": key, "plain": key, "none": key})
    assert told[1] == "ResourceNotFoundException"
    assert client.scan(TableName="plain")["Items"] == held(client) == []


def test_only_at_home_the_others_are_let_go(three: Regions, refusal: Any) -> None:
    """A table that would stay elsewhere would have to be given the items: that is not built."""
    told = refusal(three[EAST].update_table, TableName="tab", ReplicaUpdates=delete(WEST, SOUTH))
    assert told[:2] == (501, "NotImplemented")


@pytest.mark.parametrize("region", [WEST, EAST])
def test_a_strongly_consistent_table_takes_no_bulk_put(
    three: Regions, refusal: Any, region: str
) -> None:
    """Developer Guide, "Bulk put items considerations": no global tables."""
    told = refusal(three[region].start_bulk_put_items, **asked())
    assert told[2] == "Bulk put items does not support global tables"


def test_a_witness_needs_a_right_of_its_own(
    as_user: Callable[..., Any], cloud: Cloud, at: Regions, refusal: Any
) -> None:
    """Service Authorization Reference: CreateGlobalTableWitness."""
    make(cloud.client("dynamodb"))
    deny = {"Effect": "Deny", "Action": "dynamodb:CreateGlobalTableWitness"}
    client = as_user({"Action": "dynamodb:*"}, deny)
    given = {"TableName": "tab", "MultiRegionConsistency": "STRONG"}
    told = refusal(
        client.update_table,
        **given,
        ReplicaUpdates=create(WEST),
        GlobalTableWitnessUpdates=create(SOUTH),
    )
    assert told[1] == "AccessDeniedException"
    assert "CreateGlobalTableWitness" in told[2]


def test_a_region_that_hears_late_of_an_older_change_keeps_the_later(
    cloud: Cloud, three: Regions
) -> None:
    account = described(three[WEST])["TableArn"].split(":")[4]
    store_of = cloud.app.facilities.placement.store_of
    at_home = store_of(Domain("dynamodb", account, WEST))
    older = cloud.run(at_home.read(lambda tr: TABLES.find(tr, "tab")))
    assert older is not None
    three[WEST].update_table(TableName="tab", TableClass="STANDARD_INFREQUENT_ACCESS")
    settle(cloud)
    before = described(three[EAST])
    assert before["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    away = store_of(Domain("dynamodb", account, EAST))
    cloud.run(away.transact(lambda tr: refresh_member(tr, older)))
    assert described(three[EAST]) == before
