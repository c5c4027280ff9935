from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from backports import zstd

from fogbank.server.config import Config
from fogbank.services.dynamodb import SERVICE as DYNAMODB
from fogbank.services.dynamodb.rules.exchange import ion
from fogbank.services.dynamodb.state import importing, reading, transfers
from fogbank.services.iam import SERVICE as IAM
from fogbank.services.logs import SERVICE as LOGS
from fogbank.services.s3 import SERVICE as S3
from fogbank.testing.cloud import Cloud

BUCKET = "import-source"
Import = Callable[..., dict[str, Any]]


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud whose bodies all run twice; a parameter gives its quotas."""
    config = Config(quotas=getattr(request, "param", {}))
    with Cloud(services=[DYNAMODB, IAM, LOGS, S3], replay=True, config=config) as made:
        made.client("s3").create_bucket(Bucket=BUCKET)
        yield made


@pytest.fixture
def put(cloud: Cloud) -> Callable[[str, bytes], None]:
    s3 = cloud.client("s3")

    def put_object(key: str, content: bytes) -> None:
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    return put_object


def asked(input_format: str = "DYNAMODB_JSON", **members: Any) -> dict[str, Any]:
    return {
        "S3BucketSource": {"S3Bucket": BUCKET, "S3KeyPrefix": "in/"},
        "InputFormat": input_format,
        "TableCreationParameters": {
            "TableName": "tab",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
        **members,
    }


@pytest.fixture
def run_import(cloud: Cloud, dynamodb: Any) -> Import:
    """Import, wait until it has ended, and return what it is then."""

    def run(input_format: str = "DYNAMODB_JSON", **members: Any) -> dict[str, Any]:
        begun = dynamodb.import_table(**asked(input_format, **members))["ImportTableDescription"]
        assert begun["ImportStatus"] == "IN_PROGRESS"
        cloud.settle()
        return dynamodb.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]

    return run


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in items)


def found(dynamodb: Any) -> dict[str, Any]:
    return {item["p"]["S"]: item for item in dynamodb.scan(TableName="tab")["Items"]}


def test_items_of_dynamodb_json_become_a_table(put: Any, run_import: Import, dynamodb: Any) -> None:
    put("in/1", lines({"p": {"S": "a"}, "n": {"N": "1.50"}}, {"p": {"S": "b"}, "x": {"B": "AQI="}}))
    put("in/2", lines({"p": {"S": "c"}}))
    put("other", lines({"p": {"S": "d"}}))
    ended = run_import()
    assert ended["ImportStatus"] == "COMPLETED", ended
    assert found(dynamodb) == {
        "a": {"p": {"S": "a"}, "n": {"N": "1.5"}},
        "b": {"p": {"S": "b"}, "x": {"B": b"\1\2"}},
        "c": {"p": {"S": "c"}},
    }


def test_an_import_is_told_as_it_is(
    put: Any, run_import: Import, dynamodb: Any, cloud: Cloud
) -> None:
    """Developer Guide, "Import format quotas and validation: CloudWatch logs" (the example)."""
    content = lines({"p": {"S": "a"}}, {"p": {"S": "b"}})
    put("in/1", content)
    began = cloud.clock.now_ms()
    ended = run_import(ClientToken="token")
    arn = f"arn:aws:dynamodb:us-east-1:{cloud.account.principal.account}:table/tab"
    import_arn = ended.pop("ImportArn")
    prefix, _, import_id = import_arn.rpartition("/")
    assert prefix == f"{arn}/import"
    assert re.fullmatch(rf"{began:014}-[0-9a-f]{{8}}", import_id)
    table = dynamodb.describe_table(TableName="tab")["Table"]
    assert {key: ended.pop(key).timestamp() * 1_000 for key in ("StartTime", "EndTime")} == {
        "StartTime": began,
        "EndTime": cloud.clock.now_ms(),
    }
    request = asked()
    assert ended == {
        "ImportStatus": "COMPLETED",
        "TableArn": arn,
        "TableId": table["TableId"],
        "ClientToken": "token",
        "S3BucketSource": {
            **request["S3BucketSource"],
            "S3BucketOwner": cloud.account.principal.account,
        },
        "ErrorCount": 0,
        "CloudWatchLogGroupArn": (
            f"arn:aws:logs:us-east-1:{cloud.account.principal.account}:log-group:/aws-dynamodb/imports:*"
        ),
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "NONE",
        "TableCreationParameters": request["TableCreationParameters"],
        "ProcessedSizeBytes": len(content),
        "ProcessedItemCount": 2,
        "ImportedItemCount": 2,
    }


@pytest.fixture
def release(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Hold imports before they read anything; return what lets them go on."""
    may_go_on, go_on = asyncio.Event(), importing._Work.go_on

    async def held(work: Any) -> None:
        await may_go_on.wait()
        await go_on(work)

    async def let_go() -> None:
        may_go_on.set()

    monkeypatch.setattr(importing._Work, "go_on", held)
    return lambda: cloud.run(let_go())


def test_a_table_cannot_be_used_before_its_import_has_ended(
    put: Any, dynamodb: Any, cloud: Cloud, refusal: Any, release: Callable[[], None]
) -> None:
    put("in/1", lines({"p": {"S": "a"}}))
    dynamodb.import_table(**asked())
    assert dynamodb.describe_table(TableName="tab")["Table"]["TableStatus"] == "CREATING"
    item = {"p": {"S": "b"}}
    assert refusal(dynamodb.put_item, TableName="tab", Item=item)[1] == "ResourceNotFoundException"
    assert refusal(dynamodb.delete_table, TableName="tab")[1] == "ResourceInUseException"
    release()
    cloud.settle()
    assert dynamodb.describe_table(TableName="tab")["Table"]["TableStatus"] == "ACTIVE"
    dynamodb.put_item(TableName="tab", Item=item)
    assert found(dynamodb).keys() == {"a", "b"}


@pytest.mark.parametrize("compression", ["NONE", "GZIP", "ZSTD"])
@pytest.mark.parametrize("input_format", ["DYNAMODB_JSON", "ION", "CSV"])
def test_every_format_is_read_in_every_compression_and_goes_on_where_it_was(
    put: Any,
    run_import: Import,
    dynamodb: Any,
    monkeypatch: pytest.MonkeyPatch,
    compression: str,
    input_format: str,
) -> None:
    """Each attempt writes one piece: the next begins in the middle of a file, behind its header."""
    monkeypatch.setattr(importing, "ATTEMPT_MS", 0)
    monkeypatch.setattr(reading, "ITEMS_PER_PIECE", 3)
    monkeypatch.setattr(reading, "WINDOW_BYTES", 50)
    wanted = {
        f"é{at:02}": {"p": {"S": f"é{at:02}"}, "x": {"S": f'a,"\r\n{at}'}} for at in range(10)
    }
    write = {
        "DYNAMODB_JSON": lambda: lines(*wanted.values()),
        "ION": lambda: b"".join(ion.line_of({"Item": item}) for item in wanted.values()),
        "CSV": lambda: csv_of(
            ["p", "x"], *([v["S"] for v in item.values()] for item in wanted.values())
        ),
    }[input_format]
    content = write()
    pack = {"NONE": bytes, "GZIP": gzip.compress, "ZSTD": zstd.compress}[compression]
    put("in/1", pack(content))
    put("in/2", pack(write()))
    ended = run_import(input_format, InputCompressionType=compression)
    assert ended["ImportStatus"] == "COMPLETED"
    assert found(dynamodb) == wanted
    assert ended["ProcessedItemCount"] == ended["ImportedItemCount"] == 20
    header = len(b"p,x\r\n") if input_format == "CSV" else 0
    assert ended["ProcessedSizeBytes"] == 2 * (len(content) - header)


def csv_of(*rows: list[str], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


def test_columns_of_csv_are_named_by_the_request_and_keys_have_their_types(
    put: Any, run_import: Import, dynamodb: Any
) -> None:
    """Developer Guide, "Amazon S3 import formats for DynamoDB: CSV"."""
    put("in/1", csv_of(["a", "1", "7", "x;y"], ["b", "2", "8", ""], delimiter=";"))
    parameters = asked()["TableCreationParameters"] | {
        "AttributeDefinitions": [
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-n",
                "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }
    options = {"Csv": {"Delimiter": ";", "HeaderList": ["p", "n", "m", "x"]}}
    ended = run_import("CSV", InputFormatOptions=options, TableCreationParameters=parameters)
    assert ended["ImportStatus"] == "COMPLETED"
    assert ended["InputFormatOptions"] == options
    wanted = {
        "a": {"p": {"S": "a"}, "n": {"N": "1"}, "m": {"S": "7"}, "x": {"S": "x;y"}},
        "b": {"p": {"S": "b"}, "n": {"N": "2"}, "m": {"S": "8"}, "x": {"S": ""}},
    }
    assert found(dynamodb) == wanted
    by_n = dynamodb.query(
        TableName="tab",
        IndexName="by-n",
        KeyConditionExpression="n = :n",
        ExpressionAttributeValues={":n": {"N": "2"}},
    )
    assert by_n["Items"] == [wanted["b"]]


def messages(cloud: Cloud, import_arn: str) -> list[dict[str, Any]]:
    stream = {
        "logGroupName": "/aws-dynamodb/imports",
        "logStreamName": f"{import_arn.rpartition('/')[2]}/error",
    }
    events = cloud.client("logs").get_log_events(**stream, startFromHead=True)["events"]
    return [json.loads(event["message"]) for event in events]


def test_items_that_are_refused_are_counted_and_logged_and_the_rest_is_imported(
    put: Any, run_import: Import, dynamodb: Any, cloud: Cloud
) -> None:
    """Developer Guide, "Import format quotas and validation: Missing the key pk in the item"."""
    good, bad = {"p": {"S": "a"}}, {"q": {"S": "b"}}
    put("in/1", lines(good, bad) + b"\nno json\n" + lines({"p": {"N": "5"}}, {"p": {"S": "z"}}))
    ended = run_import()
    assert ended["ImportStatus"] == "FAILED"
    assert ended["FailureCode"] == "ItemValidationError"
    assert ended["FailureMessage"] == (
        "Some of the items failed validation checks and were not imported. Please check CloudWatch"
        " error logs for more details."
    )
    counted = ("ProcessedItemCount", "ImportedItemCount", "ErrorCount")
    assert [ended[name] for name in counted] == [5, 2, 3]
    assert found(dynamodb).keys() == {"a", "z"}
    invalid = "One or more parameter values were invalid: "
    told = messages(cloud, ended["ImportArn"])
    assert [each["itemS3Pointer"] for each in told] == [
        {"bucket": BUCKET, "key": "in/1", "itemIndex": index} for index in (1, 2, 3)
    ]
    assert {each["importArn"] for each in told} == {ended["ImportArn"]}
    assert told[0]["errorMessages"] == [f"{invalid}Missing the key p in the item"]
    assert told[1]["errorMessages"][0].startswith("The line is no item in DynamoDB JSON: ")
    assert told[2]["errorMessages"] == [f"{invalid}Type mismatch for key p expected: S actual: N"]


@pytest.mark.parametrize("cloud", [{"dynamodb.item_bytes_max": 1_000}], indirect=True)
def test_a_giant_line_is_an_error_of_one_item(
    put: Any, run_import: Import, dynamodb: Any, cloud: Cloud
) -> None:
    giant = lines({"p": {"S": "b"}, "x": {"S": "x" * 200_000}})
    put("in/1", lines({"p": {"S": "a"}}) + giant + lines({"p": {"S": "c"}}))
    ended = run_import()
    assert ended["ErrorCount"] == 1
    assert found(dynamodb).keys() == {"a", "c"}
    [told] = messages(cloud, ended["ImportArn"])
    assert told["errorMessages"] == ["Item size has exceeded the maximum allowed size"]


def test_the_rest_of_a_file_that_is_malformed_is_passed_over(
    put: Any, run_import: Import, dynamodb: Any, cloud: Cloud
) -> None:
    """Developer Guide, "Import format quotas and validation: Validation errors"."""
    put("in/1", gzip.compress(lines({"p": {"S": "a"}})) + b"rubbish")
    put("in/2", b"no gzip")
    put("in/3", gzip.compress(lines({"p": {"S": "c"}})))
    put("in/4", b"")
    ended = run_import(InputCompressionType="GZIP")
    assert ended["FailureCode"] == "ItemValidationError"
    assert (ended["ErrorCount"], ended["ImportedItemCount"]) == (2, 2)
    assert found(dynamodb).keys() == {"a", "c"}
    told = messages(cloud, ended["ImportArn"])
    assert [each["itemS3Pointer"]["key"] for each in told] == ["in/1", "in/2"]


def test_of_items_with_one_key_the_last_remains(
    put: Any, run_import: Import, dynamodb: Any
) -> None:
    """Developer Guide, "Import format quotas and validation", Note: they are no errors."""
    put("in/1", lines(*({"p": {"S": "a"}, "n": {"N": str(at)}} for at in range(3))))
    ended = run_import()
    assert (ended["ImportStatus"], ended["ImportedItemCount"]) == ("COMPLETED", 3)
    assert found(dynamodb) == {"a": {"p": {"S": "a"}, "n": {"N": "2"}}}


# What is refused.


def test_a_bucket_that_does_not_stand_leaves_no_table(
    run_import: Import, dynamodb: Any, refusal: Any
) -> None:
    """Developer Guide, "Import format quotas and validation: The specified bucket does not exist"."""
    ended = run_import(S3BucketSource={"S3Bucket": "no-such-bucket"})
    assert (ended["ImportStatus"], ended["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert ended["FailureMessage"].startswith(
        "The specified bucket does not exist (Service: Amazon S3"
    )
    assert refusal(dynamodb.describe_table, TableName="tab")[1] == "ResourceNotFoundException"
    assert dynamodb.list_tables()["TableNames"] == []


def test_a_prefix_without_objects_is_no_empty_success(run_import: Import, dynamodb: Any) -> None:
    ended = run_import()
    assert (ended["ImportStatus"], ended["FailureCode"]) == ("FAILED", "S3NoSuchKey")
    assert dynamodb.list_tables()["TableNames"] == []


NEEDED = {
    "dynamodb:ImportTable": "",
    "s3:ListBucket": "S3AccessDenied",
    "s3:GetObject": "S3AccessDenied",
    "logs:CreateLogGroup": "CloudWatchLogsAccessDeniedException",
    "logs:CreateLogStream": "CloudWatchLogsAccessDeniedException",
    "logs:PutLogEvents": "CloudWatchLogsAccessDeniedException",
}
"""What its caller must be allowed, and how an import fails that is begun without."""


@pytest.mark.parametrize("denied", NEEDED)
def test_an_import_reads_and_logs_with_the_rights_of_its_caller(
    put: Any, cloud: Cloud, dynamodb: Any, refusal: Any, denied: str
) -> None:
    """Developer Guide, "Requesting a table import in DynamoDB: Setting up IAM permissions"."""
    put("in/1", lines({"q": {"S": "a"}}))
    allowed = [action for action in NEEDED if action != denied]
    user = user_who_may(cloud, allowed)
    client = cloud.client("dynamodb", credential=user)
    if not NEEDED[denied]:
        assert refusal(client.import_table, **asked())[1] == "AccessDeniedException"
        return
    arn = client.import_table(**asked())["ImportTableDescription"]["ImportArn"]
    cloud.settle()
    ended = dynamodb.describe_import(ImportArn=arn)["ImportTableDescription"]
    assert (ended["ImportStatus"], ended["FailureCode"]) == ("FAILED", NEEDED[denied])


def test_these_rights_are_enough(put: Any, cloud: Cloud, dynamodb: Any) -> None:
    put("in/1", lines({"p": {"S": "a"}}))
    client = cloud.client("dynamodb", credential=user_who_may(cloud, [*NEEDED]))
    arn = client.import_table(**asked())["ImportTableDescription"]["ImportArn"]
    cloud.settle()
    ended = dynamodb.describe_import(ImportArn=arn)["ImportTableDescription"]
    assert ended["ImportStatus"] == "COMPLETED"


def user_who_may(cloud: Cloud, actions: list[str]) -> Any:
    """Make a user who may do some things to everything; return their credential."""
    iam = cloud.client("iam")
    iam.create_user(UserName="importer")
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="importer", PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName="importer")["AccessKey"]
    return Named(key["AccessKeyId"], key["SecretAccessKey"])


class Named(NamedTuple):
    """A credential."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


def test_a_bucket_of_another_account_is_meant_only_if_its_owner_is_named(
    put: Any, run_import: Import
) -> None:
    """Developer Guide, "Requesting a table import in DynamoDB: Amazon S3 permissions"."""
    put("in/1", lines({"p": {"S": "a"}}))
    source = {**asked()["S3BucketSource"], "S3BucketOwner": "999999999999"}
    assert run_import(S3BucketSource=source)["FailureCode"] == "S3AccessDenied"


def test_an_object_that_changes_while_it_is_read_ends_the_import(
    put: Any, cloud: Cloud, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Developer Guide, "Requesting a table import in DynamoDB", Note: the import can fail."""
    put("in/1", lines(*({"p": {"S": str(at)}} for at in range(10))))
    monkeypatch.setattr(reading, "WINDOW_BYTES", 50)
    window = reading.Reading._window

    async def changing(work: Any, place: Any, at: int) -> bytes:
        content = await window(work, place, at)
        if at == 0:
            put_now = {"Bucket": BUCKET, "Key": "in/1", "Body": b"other"}
            await work._asker.ask("s3", "PutObject", put_now)
        return content

    monkeypatch.setattr(reading.Reading, "_window", changing)
    arn = dynamodb.import_table(**asked())["ImportTableDescription"]["ImportArn"]
    cloud.settle()
    ended = dynamodb.describe_import(ImportArn=arn)["ImportTableDescription"]
    assert ended["FailureCode"] == "S3PreconditionFailed"
    assert 0 < ended["ImportedItemCount"] < 10
    assert len(found(dynamodb)) == ended["ImportedItemCount"], "what was imported remains"


def test_a_token_makes_one_import_of_many_requests(
    put: Any, dynamodb: Any, cloud: Cloud, refusal: Any
) -> None:
    """API Reference, ImportTable, ``ClientToken``."""
    put("in/1", lines({"p": {"S": "a"}}))
    token = "t" * 300
    first = dynamodb.import_table(**asked(), ClientToken=token)["ImportTableDescription"]
    cloud.settle()
    again = dynamodb.import_table(**asked(), ClientToken=token)["ImportTableDescription"]
    assert again["ImportArn"] == first["ImportArn"]
    assert again["ImportStatus"] == "COMPLETED"
    other = asked("ION", ClientToken=token)
    assert refusal(dynamodb.import_table, **other)[1] == "ImportConflictException"
    cloud.advance(8 * 3_600_000)
    assert (
        refusal(dynamodb.import_table, **asked(), ClientToken=token)[1] == "ResourceInUseException"
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"InputFormatOptions": {"Csv": {"Delimiter": ";"}}},
            "InputFormatOptions can only be specified for InputFormat CSV",
        ),
        (
            {"InputFormat": "CSV", "InputFormatOptions": {"Csv": {"HeaderList": ["a", "a"]}}},
            "HeaderList must not contain duplicate headers",
        ),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(
    dynamodb: Any, refusal: Any, members: dict[str, Any], message: str
) -> None:
    given = {**asked(), **members}
    assert refusal(dynamodb.import_table, **given) == (400, "ValidationException", message)
    assert dynamodb.list_tables()["TableNames"] == []


@pytest.mark.parametrize("cloud", [{"dynamodb.imports_max": 1}], indirect=True)
def test_so_many_imports_of_an_account_run_at_once(
    put: Any, dynamodb: Any, cloud: Cloud, refusal: Any, release: Callable[[], None]
) -> None:
    put("in/1", lines({"p": {"S": "a"}}))
    dynamodb.import_table(**asked())
    second = asked()
    second["TableCreationParameters"]["TableName"] = "tab-2"
    assert refusal(dynamodb.import_table, **second)[1] == "LimitExceededException"
    assert dynamodb.list_tables()["TableNames"] == ["tab"], "nothing is left of it"
    release()
    cloud.settle()
    dynamodb.import_table(**second)


@pytest.mark.parametrize(
    "cloud",
    [{"dynamodb.import_objects_max": 1}, {"dynamodb.import_object_bytes_max": 20}],
    indirect=True,
)
def test_an_import_may_have_so_many_objects_and_bytes(
    put: Any, run_import: Import, dynamodb: Any, cloud: Cloud
) -> None:
    for key in ("in/1", "in/2"):
        put(key, lines({"p": {"S": "a"}}))
    ended = run_import()
    assert (ended["ImportStatus"], ended["FailureCode"]) == ("FAILED", "ImportLimitExceeded")
    assert dynamodb.list_tables()["TableNames"] == []


# Listing.


def test_imports_are_listed_for_ninety_days_the_last_arn_first(
    put: Any, dynamodb: Any, cloud: Cloud, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API Reference, ListImports; in ninety days of virtual time too much else would happen."""
    assert transfers.TRANSFER_KEPT_MS == 90 * 86_400_000
    monkeypatch.setattr(transfers, "TRANSFER_KEPT_MS", 60_000)
    put("in/1", lines({"p": {"S": "a"}}))
    arns = []
    for name in ("tab", "tab-1", "tab", "tab.2"):
        given = asked()
        given["TableCreationParameters"]["TableName"] = name
        arns.append(dynamodb.import_table(**given)["ImportTableDescription"]["ImportArn"])
        cloud.settle()
        cloud.advance(1_000)
        if arns[-1].count("table/tab/"):
            dynamodb.delete_table(TableName="tab")
    wanted = sorted(arns, reverse=True)
    listed = dynamodb.list_imports()["ImportSummaryList"]
    assert [each["ImportArn"] for each in listed] == wanted
    of_tab = dynamodb.list_imports(TableArn=arns[0].rpartition("/import/")[0])["ImportSummaryList"]
    assert [each["ImportArn"] for each in of_tab] == [arns[2], arns[0]]
    assert of_tab[0].keys() == {
        "ImportArn", "ImportStatus", "TableArn", "S3BucketSource", "CloudWatchLogGroupArn",
        "InputFormat", "StartTime", "EndTime",
    }  # fmt: skip
    cloud.advance(60_000)
    cloud.settle()
    assert dynamodb.list_imports()["ImportSummaryList"] == []
    assert refusal(dynamodb.describe_import, ImportArn=arns[0])[1] == "ImportNotFoundException"


def test_pages_of_imports_follow_each_other(put: Any, dynamodb: Any, cloud: Cloud) -> None:
    put("in/1", lines({"p": {"S": "a"}}))
    for name in ("aaa", "bbb", "ccc"):
        given = asked()
        given["TableCreationParameters"]["TableName"] = name
        dynamodb.import_table(**given)
    cloud.settle()
    first = dynamodb.list_imports(PageSize=2)
    second = dynamodb.list_imports(PageSize=2, NextToken=first["NextToken"])
    assert "NextToken" not in second
    listed = first["ImportSummaryList"] + second["ImportSummaryList"]
    assert [each["TableArn"][-3:] for each in listed] == ["ccc", "bbb", "aaa"]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:dynamodb:us-west-2:{}:table/tab/import/00000000000000-00000000",
        "arn:aws:dynamodb:us-east-1:{}:table/tab/import/00000000000000-00000000",
        "arn:aws:dynamodb:us-east-1:{}:table/tab/export/00000000000000-00000000",
        "no-arn-at-all-but-long-enough-for-the-model",
    ],
)
def test_an_import_that_is_not_there_is_not_found(
    dynamodb: Any, refusal: Any, cloud: Cloud, arn: str
) -> None:
    given = arn.format(cloud.account.principal.account)
    assert refusal(dynamodb.describe_import, ImportArn=given)[:2] == (
        400,
        "ImportNotFoundException",
    )


@pytest.mark.parametrize("cloud", [{"dynamodb.item_bytes_max": 2 << 20}], indirect=True)
def test_items_whose_bodies_lie_beside_them_are_imported_and_replaced(
    put: Any, run_import: Import, dynamodb: Any
) -> None:
    """A body above 16 KiB is a chunk, one above 256 KiB a blob; this deployment takes 2 MB."""
    bodies = [
        {"p": {"S": "a"}, "x": {"S": letter * size}}
        for letter, size in zip("uvw", (400_000, 20_000, 1_000_000), strict=True)
    ]
    put("in/1", lines(*bodies))
    ended = run_import()
    assert ended["ImportStatus"] == "COMPLETED"
    assert dynamodb.get_item(TableName="tab", Key={"p": {"S": "a"}})["Item"] == bodies[-1]
