"""The deprecated operations that clients still have: their requests are those of newer ones, as on AWS.

Source: Amazon S3 API Reference, PutBucketLifecycle ("This operation is deprecated. If an existing
application uses this operation, then it's supported"), GetBucketLifecycle, PutBucketNotification and
GetBucketNotification ("No longer used, see ...").
"""

from __future__ import annotations

from typing import Any

import pytest

OLD_RULE = {
    "ID": "r",
    "Prefix": "a/",
    "Status": "Enabled",
    "Expiration": {"Days": 3},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 4},
}


@pytest.fixture
def s3(client: Any) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="photos")
    return made


def test_lifecycle_rules_of_the_older_form_are_kept_and_given_back(s3: Any, refusal: Any) -> None:
    none = "NoSuchLifecycleConfiguration"
    assert refusal(s3.get_bucket_lifecycle, Bucket="photos")[0] == none
    s3.put_bucket_lifecycle(Bucket="photos", LifecycleConfiguration={"Rules": [OLD_RULE]})
    assert s3.get_bucket_lifecycle(Bucket="photos")["Rules"] == [OLD_RULE]
    newer = s3.get_bucket_lifecycle_configuration(Bucket="photos")
    assert newer["Rules"] == [OLD_RULE]
    s3.put_object(Bucket="photos", Key="a/b")
    assert 'rule-id="r"' in s3.head_object(Bucket="photos", Key="a/b")["Expiration"]
    s3.delete_bucket_lifecycle(Bucket="photos")
    assert refusal(s3.get_bucket_lifecycle, Bucket="photos")[0] == none


def test_a_transition_of_the_older_form_is_refused_as_newer_ones_are(s3: Any, refusal: Any) -> None:
    moved = {**OLD_RULE, "Transition": {"Days": 1, "StorageClass": "GLACIER"}}
    given = {"Bucket": "photos", "LifecycleConfiguration": {"Rules": [moved]}}
    assert refusal(s3.put_bucket_lifecycle, **given)[0] == "NotImplemented"


def test_a_notification_of_the_older_form_is_kept_and_given_back(s3: Any, account: str) -> None:
    def unasked(params: Any, **_: Any) -> None:
        params["headers"]["x-amz-skip-destination-validation"] = "true"

    s3.meta.events.register("before-call.s3.PutBucketNotification", unasked)
    assert s3.get_bucket_notification(Bucket="photos").keys() == {"ResponseMetadata"}
    arn = f"arn:aws:lambda:us-east-1:{account}:function:thumbnail"
    wanted = {"Id": "n", "CloudFunction": arn, "Event": "s3:ObjectCreated:Put"}
    s3.put_bucket_notification(
        Bucket="photos", NotificationConfiguration={"CloudFunctionConfiguration": wanted}
    )
    newer = s3.get_bucket_notification_configuration(Bucket="photos")
    assert newer["LambdaFunctionConfigurations"] == [
        {"Id": "n", "LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:Put"]}
    ]
    found = s3.get_bucket_notification(Bucket="photos")["CloudFunctionConfiguration"]
    assert (found["Id"], found["CloudFunction"]) == ("n", arn)
    s3.put_bucket_notification(Bucket="photos", NotificationConfiguration={})
    assert s3.get_bucket_notification(Bucket="photos").keys() == {"ResponseMetadata"}


def test_other_destinations_of_the_older_form_are_refused_as_newer_ones_are(
    s3: Any, refusal: Any
) -> None:
    topic = {"Topic": "arn:aws:sns:us-east-1:123456789012:t", "Event": "s3:ObjectCreated:Put"}
    queue = {"Queue": "arn:aws:sqs:us-east-1:123456789012:q", "Event": "s3:ObjectCreated:Put"}
    for given in ({"TopicConfiguration": topic}, {"QueueConfiguration": queue}):
        code, said = refusal(
            s3.put_bucket_notification, Bucket="photos", NotificationConfiguration=given
        )
        assert code == "InvalidArgument"
        assert "destination" in said
