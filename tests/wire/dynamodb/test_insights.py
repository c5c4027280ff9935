"""Contributor insights: which keys are accessed and throttled most.

Source: Amazon DynamoDB API Reference, UpdateContributorInsights; Developer Guide, "CloudWatch
Contributor Insights for DynamoDB: How it works".
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.dynamodb.indexing import Made, index
from tests.wire.dynamodb.regions import EAST, SOUTH, WEST, Regions, put, settle

from fogbank.services.dynamodb.rules import owners
from fogbank.testing.cloud import Cloud


def enable(dynamodb: Any, **members: Any) -> Any:
    return dynamodb.update_contributor_insights(
        TableName="tab", ContributorInsightsAction="ENABLE", **members
    )


def described(dynamodb: Any, **members: Any) -> Any:
    told = dynamodb.describe_contributor_insights(TableName="tab", **members)
    told.pop("ResponseMetadata")
    return told


def counted(cloud: Cloud, rule: str) -> dict[str, int]:
    for name, tally in cloud.app.facilities.tallies:
        if name.name == rule:
            return {each.name: each.times for each in tally.top(10)}
    return {}


def rules_of(dynamodb: Any, **members: Any) -> dict[str, str]:
    """Return the rules by their short names."""
    return {
        rule.split("-")[1]: rule
        for rule in described(dynamodb, **members)["ContributorInsightsRuleList"]
    }


def test_insights_are_turned_on_and_off(dynamodb: Any, make_table: Any) -> None:
    make_table(sort="N")
    assert described(dynamodb) == {
        "TableName": "tab",
        "ContributorInsightsRuleList": [],
        "ContributorInsightsStatus": "DISABLED",
    }
    assert enable(dynamodb)["ContributorInsightsStatus"] == "ENABLING"
    told = described(dynamodb)
    assert told["ContributorInsightsStatus"] == "ENABLED"
    assert told["ContributorInsightsMode"] == "ACCESSED_AND_THROTTLED_KEYS"
    assert told["LastUpdateDateTime"]
    assert list(rules_of(dynamodb)) == ["PKC", "SKC", "PKT", "SKT"]
    assert rules_of(dynamodb)["PKC"].startswith("DynamoDBContributorInsights-PKC-tab-")
    enable(dynamodb, ContributorInsightsMode="THROTTLED_KEYS")
    assert list(rules_of(dynamodb)) == ["PKT", "SKT"]
    off = dynamodb.update_contributor_insights(TableName="tab", ContributorInsightsAction="DISABLE")
    assert off["ContributorInsightsStatus"] == "DISABLING"
    assert described(dynamodb)["ContributorInsightsStatus"] == "DISABLED"


def test_the_keys_that_are_accessed_most_are_counted(
    cloud: Cloud, dynamodb: Any, make_table: Any
) -> None:
    make_table(sort="N")
    key = {"p": {"S": "hot"}, "c": {"N": "-1.5"}}
    dynamodb.put_item(TableName="tab", Item=key)
    enable(dynamodb)
    for _ in range(3):
        dynamodb.get_item(TableName="tab", Key=key)
    dynamodb.put_item(TableName="tab", Item={**key, "c": {"N": "20"}})
    dynamodb.delete_item(TableName="tab", Key={"p": {"S": "cold"}, "c": {"N": "0"}})
    dynamodb.query(
        TableName="tab",
        KeyConditionExpression="p = :p",
        ExpressionAttributeValues={":p": {"S": "hot"}},
    )
    rules = rules_of(dynamodb)
    assert counted(cloud, rules["PKC"]) == {"hot": 5, "cold": 1}
    assert counted(cloud, rules["SKC"]) == {"hot, -1.5": 3, "hot, 20": 1, "cold, 0": 1}
    assert counted(cloud, rules["PKT"]) == {}
    dynamodb.update_contributor_insights(TableName="tab", ContributorInsightsAction="DISABLE")
    dynamodb.get_item(TableName="tab", Key=key)
    assert counted(cloud, rules["PKC"])["hot"] == 5


@pytest.mark.parametrize("cloud", [{"dynamodb.burst_s": 1}], indirect=True)
def test_the_keys_that_are_throttled_most_are_counted(
    cloud: Cloud, dynamodb: Any, make_table: Any
) -> None:
    make_table()
    maxima = {"MaxReadRequestUnits": 2, "MaxWriteRequestUnits": 1}
    dynamodb.update_table(TableName="tab", OnDemandThroughput=maxima)
    enable(dynamodb, ContributorInsightsMode="THROTTLED_KEYS")
    dynamodb.put_item(TableName="tab", Item={"p": {"S": "x"}})
    for _ in range(3):
        with pytest.raises(ClientError, match="maximum OnDemandThroughput"):
            dynamodb.put_item(TableName="tab", Item={"p": {"S": "x"}})
    query = {
        "TableName": "tab",
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "y"}},
    }
    for _ in range(4):
        dynamodb.query(**query)
    with pytest.raises(ClientError, match="maximum OnDemandThroughput"):
        dynamodb.query(**query)
    [rule] = rules_of(dynamodb).values()
    assert counted(cloud, rule) == {"x": 3, "y": 1}
    # Of this mode what is accessed is nobody's to know.
    assert [each.name for each, _ in cloud.app.facilities.tallies] == [rule]


def test_queries_of_an_index_are_counted_by_its_key(
    cloud: Cloud, dynamodb: Any, make_indexed: Made
) -> None:
    make_indexed(index("by-g", "g"))
    with pytest.raises(ClientError, match="Index: none not found"):
        enable(dynamodb, IndexName="none")
    enable(dynamodb, IndexName="by-g")
    dynamodb.query(
        TableName="tab",
        IndexName="by-g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "group"}},
    )
    rules = rules_of(dynamodb, IndexName="by-g")
    assert rules["PKC"].startswith("DynamoDBContributorInsights-PKC-tab-by-g-")
    assert counted(cloud, rules["PKC"]) == {"group": 1}
    assert described(dynamodb)["ContributorInsightsStatus"] == "DISABLED"


def test_insights_are_listed_in_pages(dynamodb: Any, make_table: Any, make_indexed: Made) -> None:
    make_table("one")
    make_table("two")
    make_indexed(index("by-g", "g"))
    enable(dynamodb, IndexName="by-g")
    found: list[Any] = []
    token: dict[str, Any] = {}
    while True:
        reply = dynamodb.list_contributor_insights(MaxResults=1, **token)
        found += reply["ContributorInsightsSummaries"]
        if "NextToken" not in reply:
            break
        token = {"NextToken": reply["NextToken"]}
    told = [
        (each["TableName"], each.get("IndexName"), each["ContributorInsightsStatus"])
        for each in found
    ]
    assert told == [
        ("one", None, "DISABLED"),
        ("tab", None, "DISABLED"),
        ("tab", "by-g", "ENABLED"),
        ("two", None, "DISABLED"),
    ]
    assert found == dynamodb.list_contributor_insights()["ContributorInsightsSummaries"]
    one = dynamodb.list_contributor_insights(TableName="tab")["ContributorInsightsSummaries"]
    assert one == found[1:3]


def test_each_region_of_a_strongly_consistent_table_counts_what_it_is_asked_itself(
    cloud: Cloud, three: Regions
) -> None:
    """Developer Guide, "How DynamoDB global tables work": "only reported for the Region in which an
    operation occurred"; that they are counted is never synchronised."""
    enable(three[EAST])
    three[EAST].update_table(
        TableName="tab",
        AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-g", "g")}],
    )
    settle(cloud)
    enable(three[WEST], IndexName="by-g")
    told = {
        region: [
            (each.get("IndexName", ""), each["ContributorInsightsStatus"])
            for each in client.list_contributor_insights()["ContributorInsightsSummaries"]
        ]
        for region, client in three.items()
    }
    assert told == {
        WEST: [("", "DISABLED"), ("by-g", "ENABLED")],
        EAST: [("", "ENABLED"), ("by-g", "DISABLED")],
        SOUTH: [("", "DISABLED"), ("by-g", "DISABLED")],
    }
    for region, client in three.items():
        put(client, region, 1, g=region)
        client.query(
            TableName="tab",
            IndexName="by-g",
            KeyConditionExpression="g = :g",
            ExpressionAttributeValues={":g": {"S": region}},
        )
    assert counted(cloud, rules_of(three[EAST])["PKC"]) == {EAST: 1}
    assert counted(cloud, rules_of(three[WEST], IndexName="by-g")["PKC"]) == {WEST: 1}
    account = three[EAST].describe_table(TableName="tab")["Table"]["TableArn"].split(":")[4]
    found = {name.owner for name, _ in cloud.app.facilities.tallies}
    assert found == {owners.domain_of(account, region).prefix for region in (EAST, WEST)}
    three[EAST].update_contributor_insights(TableName="tab", ContributorInsightsAction="DISABLE")
    put(three[EAST], "more", 1)
    assert described(three[EAST])["ContributorInsightsStatus"] == "DISABLED"
    assert described(three[WEST], IndexName="by-g")["ContributorInsightsStatus"] == "ENABLED"
