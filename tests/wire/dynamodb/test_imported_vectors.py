"""Tables that are imported with what only CreateTable could give them before.

Source: Amazon DynamoDB API Reference, TableCreationParameters, OnDemandThroughput and VectorIndexes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.wire.dynamodb.searching import item, keys_of, search, vector_index
from tests.wire.dynamodb.test_imports import BUCKET, asked, lines

from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.testing.cloud import Cloud

NUMBER = {"AttributeName": "n", "AttributeType": "N"}
MAXIMA = {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 1}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(services=[DYNAMODB, LOGS, S3], replay=True) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


def imported(cloud: Cloud, content: bytes, form: str = "DYNAMODB_JSON", **members: Any) -> Any:
    """Import a table with a vector index; return what the import is when it has ended."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key="in/1", Body=content)
    given = asked(form)
    given["TableCreationParameters"] |= members
    given["TableCreationParameters"]["AttributeDefinitions"].append(NUMBER)
    dynamodb = cloud.client("dynamodb")
    begun = dynamodb.import_table(**given)["ImportTableDescription"]
    cloud.settle()
    return dynamodb.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]


def test_a_table_with_maxima_and_a_vector_index_is_imported_and_searched(
    cloud: Cloud, dynamodb: Any
) -> None:
    """It takes no throughput: its maximum of one unit of writing holds nothing up."""
    vectors = {"a": "1 0 0", "b": "0 1 0", "c": "0 0 1"}
    content = lines(*(item(name, text, n={"N": "1"}) for name, text in vectors.items()))
    made = [vector_index(by="n")]
    ended = imported(cloud, content, OnDemandThroughput=MAXIMA, VectorIndexes=made)
    assert (ended["ImportStatus"], ended["ImportedItemCount"]) == ("COMPLETED", 3), ended
    assert dynamodb.describe_table(TableName="tab")["Table"]["OnDemandThroughput"] == MAXIMA
    found = search(dynamodb, condition="n = :n", values={"n": {"N": "1"}})
    assert sorted(keys_of(found)) == ["a", "b", "c"]


def test_what_a_search_asks_for_has_its_type_in_csv_as_keys_have(
    cloud: Cloud, dynamodb: Any
) -> None:
    """A filter is neither a key of the table nor of the index: the request gives it a type."""
    ended = imported(cloud, b"p,n,x\na,7,7\n", "CSV", VectorIndexes=[vector_index(filters="n")])
    assert ended["ImportStatus"] == "COMPLETED", ended
    [found] = dynamodb.scan(TableName="tab")["Items"]
    assert found == {"p": {"S": "a"}, "n": {"N": "7"}, "x": {"S": "7"}}
