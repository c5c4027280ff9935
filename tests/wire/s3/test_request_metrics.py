"""Metrics configurations, and what they measure of requests that have gone through boto3.

Source: Amazon S3 User Guide, "Metrics and dimensions" (request metrics) and "CloudWatch metrics
configurations"; API Reference, PutBucketMetricsConfiguration; answers recorded by LocalStack
(tests/aws/services/s3/test_s3_api.snapshot.json, TestS3MetricsConfiguration), and what a live account
answered to filters that are not legal (floci-io/floci, pull request 2382; aws/aws-cli, issue 4476).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.wire.metering import sums_of

from fogbank.services.s3 import quotas
from fogbank.services.s3.metrics import METRICS, domain_of, request_series
from fogbank.services.s3.rules.access import domain_of as bucket_domain_of
from fogbank.services.s3.schema.metrics import METRICS as ROWS
from fogbank.testing.cloud import Cloud

NONE_SUCH = ("NoSuchConfiguration", "The specified configuration does not exist.")
TAG = {"Key": "kind", "Value": "cat"}
OTHER = {"Key": "size", "Value": "l"}
PARTS = b"x" * 300_000
"""A body that is streamed."""


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


@pytest.fixture
def measured(s3: Any) -> Any:
    """Return what has requests measured: by id, those that a filter is about."""

    def put(config_id: str, **chosen: Any) -> Any:
        configuration = {"Id": config_id, **({"Filter": chosen} if chosen else {})}
        return s3.put_bucket_metrics_configuration(
            Bucket="photos", Id=config_id, MetricsConfiguration=configuration
        )

    return put


@pytest.fixture
def sums(cloud: Cloud, account: str) -> Any:
    """Return what gives the sums of the metrics of a configuration, over all time."""
    domain = domain_of(account, "us-east-1")

    def read(config_id: str, bucket: str = "photos") -> dict[str, float]:
        series = request_series(bucket, config_id)
        return sums_of(cloud, domain, series)

    return read


def status_of(reply: Any) -> int:
    return int(reply["ResponseMetadata"]["HTTPStatusCode"])


def test_a_configuration_is_put_replaced_and_removed(s3: Any, measured: Any, refusal: Any) -> None:
    named = {"Bucket": "photos", "Id": "one"}
    assert status_of(measured("one", Prefix="logs/")) == 204
    assert status_of(measured("one", Prefix="logs/new")) == 204
    found = s3.get_bucket_metrics_configuration(**named)["MetricsConfiguration"]
    assert found == {"Id": "one", "Filter": {"Prefix": "logs/new"}}
    assert status_of(s3.delete_bucket_metrics_configuration(**named)) == 204
    for call in (s3.get_bucket_metrics_configuration, s3.delete_bucket_metrics_configuration):
        assert refusal(call, **named) == NONE_SUCH


def test_filters_come_back_as_they_were_put(s3: Any, measured: Any) -> None:
    point = "arn:aws:s3:us-east-1:111122223333:accesspoint/reports"
    filters: list[dict[str, Any]] = [
        {},
        {"Prefix": ""},
        {"Tag": TAG},
        {"AccessPointArn": point},
        {"And": {"Prefix": "a/", "Tags": [TAG]}},
        {"And": {"Tags": [TAG, OTHER]}},
        {"And": {"Prefix": "a/", "Tags": [TAG, OTHER], "AccessPointArn": point}},
    ]
    for number, chosen in enumerate(filters):
        measured(f"f{number}", **chosen)
    listed = s3.list_bucket_metrics_configurations(Bucket="photos")
    assert listed["IsTruncated"] is False
    assert [each.get("Filter", {}) for each in listed["MetricsConfigurationList"]] == filters


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Id": "other"}, "MalformedXML"),
        ({"Id": "id", "Filter": {}}, "MalformedXML"),
        ({"Id": "id", "Filter": {"Prefix": "a", "Tag": TAG}}, "MalformedXML"),
        ({"Id": "id", "Filter": {"And": {"Prefix": "a"}}}, "MalformedXML"),
        ({"Id": "id", "Filter": {"And": {"Tags": [TAG]}}}, "MalformedXML"),
        ({"Id": "id", "Filter": {"Tag": {"Key": "aws:x", "Value": ""}}}, "InvalidTag"),
        ({"Id": "id", "Filter": {"Prefix": "x" * 1_025}}, "InvalidArgument"),
        ({"Id": "id", "Filter": {"AccessPointArn": "arn:aws:s3:::photos"}}, "InvalidArgument"),
        ({"Id": "id", "Filter": {"AccessPointArn": "reports"}}, "InvalidArgument"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(
    s3: Any, refusal: Any, given: dict[str, Any], code: str
) -> None:
    named = {"Bucket": "photos", "Id": "id", "MetricsConfiguration": given}
    assert refusal(s3.put_bucket_metrics_configuration, **named)[0] == code
    assert "MetricsConfigurationList" not in s3.list_bucket_metrics_configurations(Bucket="photos")


@pytest.mark.parametrize("config_id", ["x" * 65, "a b", "a/b", "\u00e9"])
def test_an_id_that_cannot_be_is_refused(s3: Any, measured: Any, config_id: str) -> None:
    with pytest.raises(s3.exceptions.ClientError, match="InvalidArgument"):
        measured(config_id)


def test_there_are_so_many_and_they_are_listed_a_hundred_at_a_time(
    s3: Any, measured: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fogbank.services.s3.state.metrics.METRICS_CONFIGURATIONS_MAX", 102)
    assert quotas.METRICS_CONFIGURATIONS_MAX == 1_000
    for number in range(102):
        measured(f"{number:03}")
    measured("007", Prefix="again")  # takes the place of one
    first = s3.list_bucket_metrics_configurations(Bucket="photos")
    assert len(first["MetricsConfigurationList"]) == 100
    assert first["IsTruncated"] is True
    token = first["NextContinuationToken"]
    last = s3.list_bucket_metrics_configurations(Bucket="photos", ContinuationToken=token)
    assert [each["Id"] for each in last["MetricsConfigurationList"]] == ["100", "101"]
    assert last["IsTruncated"] is False
    assert last["ContinuationToken"] == token
    one_more = {"Bucket": "photos", "Id": "z", "MetricsConfiguration": {"Id": "z"}}
    code, said = refusal(s3.put_bucket_metrics_configuration, **one_more)
    assert code == "TooManyConfigurations"
    assert "already reached the 1,000-configuration limit" in said
    s3.delete_bucket_metrics_configuration(Bucket="photos", Id="000")
    assert status_of(s3.put_bucket_metrics_configuration(**one_more)) == 204


def test_requests_count_by_their_type(s3: Any, measured: Any, sums: Any, refusal: Any) -> None:
    s3.put_object(Bucket="photos", Key="before", Body=b"unmeasured")
    measured("all")
    s3.put_object(Bucket="photos", Key="k", Body=b"12345")
    assert s3.get_object(Bucket="photos", Key="k")["Body"].read() == b"12345"
    s3.head_object(Bucket="photos", Key="k")
    s3.list_objects_v2(Bucket="photos")
    s3.copy_object(Bucket="photos", Key="copy", CopySource="photos/k")
    upload = s3.create_multipart_upload(Bucket="photos", Key="m")["UploadId"]
    s3.list_parts(Bucket="photos", Key="m", UploadId=upload)
    s3.abort_multipart_upload(Bucket="photos", Key="m", UploadId=upload)
    s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "k"}, {"Key": "copy"}]})
    assert refusal(s3.get_object, Bucket="photos", Key="k")[0] == "NoSuchKey"
    found = sums("all")
    counts = ("Get", "Put", "Delete", "Head", "Post", "List")
    assert [found[f"{name}Requests"] for name in counts] == [3.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    # The one that has put the configuration was answered when the bucket had none.
    assert found["AllRequests"] == 10.0
    assert (found["4xxErrors"], found["5xxErrors"]) == (1.0, 0.0)
    assert found["BytesUploaded"] >= 5.0
    assert found["BytesDownloaded"] > 5.0
    assert found["FirstByteLatency"] >= 0.0
    assert found["TotalRequestLatency"] >= found["FirstByteLatency"]
    declared = {metric.name for metric in METRICS if metric.dimensions[-1] == "FilterId"}
    assert set(found) == declared


def test_filters_choose_requests_by_prefix_and_tags(s3: Any, measured: Any, sums: Any) -> None:
    measured("cats", Tag=TAG)
    measured("a", Prefix="a/")
    measured("both", And={"Prefix": "a/", "Tags": [TAG]})
    for key in ("a/cat", "b/cat"):
        s3.put_object(Bucket="photos", Key=key, Tagging="kind=cat")
    s3.put_object(Bucket="photos", Key="a/dog")
    s3.list_objects_v2(Bucket="photos", Prefix="a/")
    s3.get_object(Bucket="photos", Key="a/cat")["Body"].read()
    everything = [sums(name)["AllRequests"] for name in ("cats", "a", "both")]
    assert everything == [3.0, 3.0, 2.0]
    assert "ListRequests" not in sums("a")


def test_an_answer_that_streams_is_counted_once_it_has_left(
    s3: Any, measured: Any, sums: Any
) -> None:
    s3.put_object(Bucket="photos", Key="large", Body=PARTS)
    measured("all")
    assert s3.get_object(Bucket="photos", Key="large")["Body"].read() == PARTS
    found = sums("all")
    assert found["BytesDownloaded"] == len(PARTS)
    assert found["GetRequests"] == 1.0


def test_a_bucket_without_a_configuration_counts_nothing(
    s3: Any, measured: Any, cloud: Cloud, sums: Any
) -> None:
    measured("all")
    s3.delete_bucket_metrics_configuration(Bucket="photos", Id="all")
    before = sums("all")
    s3.put_object(Bucket="photos", Key="k")
    assert len(cloud.app.facilities.metrics) == 0
    assert sums("all") == before


def test_requests_through_an_access_point_are_told_apart(
    s3: Any, client: Any, account: str, measured: Any, sums: Any
) -> None:
    control = client("s3control")
    made = control.create_access_point(AccountId=account, Name="reports", Bucket="photos")
    measured("point", AccessPointArn=made["AccessPointArn"])
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    assert sums("point") == {}
    s3.get_object(Bucket=made["AccessPointArn"], Key="k")["Body"].read()
    assert sums("point")["AllRequests"] == 1.0


def test_a_refusal_before_the_bucket_was_read_counts_too(
    client: Any, s3: Any, measured: Any, sums: Any, other: Any, refusal: Any
) -> None:
    measured("all")
    assert (
        refusal(client("s3", credential=other).get_object, Bucket="photos", Key="k")[0]
        == "AccessDenied"
    )
    assert sums("all")["4xxErrors"] == 1.0


def test_configurations_go_with_their_bucket(s3: Any, measured: Any, cloud: Cloud) -> None:
    for number in range(3):
        measured(f"c{number}")
    s3.delete_bucket(Bucket="photos")
    cloud.advance(1_200_000)
    cloud.settle()

    async def body(tr: Any) -> Any:
        return await ROWS.list(tr, limit=10)

    store = cloud.engine.store_of(bucket_domain_of("photos"))
    assert cloud.run(store.read(body)) == []
    s3.create_bucket(Bucket="photos")
    assert "MetricsConfigurationList" not in s3.list_bucket_metrics_configurations(Bucket="photos")
