"""The function of the photo example: one uploaded picture in, a thumbnail and a row out.

Runs as it stands on AWS Lambda; its package holds Pillow beside this file.
"""

from __future__ import annotations

import io
import os
import urllib.parse
from datetime import UTC, datetime

import boto3
from PIL import Image, ImageOps

THUMBNAILS = os.environ["THUMBNAILS_BUCKET"]
TABLE = os.environ["TABLE"]
EDGE = int(os.environ.get("THUMBNAIL_EDGE", "256"))
ORIENTATION = 0x0112
DATE_TIME_ORIGINAL = 0x9003
EXIF_IFD = 0x8769

s3 = boto3.client("s3")
dynamodb = boto3.client("dynamodb")


def handler(event: dict, context: object) -> dict:  # noqa: ARG001 (Lambda's signature)
    """Make the thumbnail and the row of every picture in the event."""
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        print(f"picture {key}")
        describe(bucket, key)
    return {"pictures": len(event["Records"])}


def describe(bucket: str, key: str) -> None:
    """Make one thumbnail and one row; doing it twice changes nothing."""
    found = s3.get_object(Bucket=bucket, Key=key)
    content = found["Body"].read()
    with Image.open(io.BytesIO(content)) as picture:
        created = taken_at(picture) or found["LastModified"]
        width, height = picture.size
        if picture.getexif().get(ORIENTATION, 1) >= 5:  # noqa: PLR2004 (lying on its side)
            width, height = height, width
        picture.draft("RGB", (EDGE * 2, EDGE * 2))
        upright = ImageOps.exif_transpose(picture)
        upright.thumbnail((EDGE, EDGE))
        thumbnail = io.BytesIO()
        upright.convert("RGB").save(thumbnail, "JPEG", quality=85)
    s3.put_object(
        Bucket=THUMBNAILS,
        Key=f"{key}.jpg",
        Body=thumbnail.getvalue(),
        ContentType="image/jpeg",
    )
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "name": {"S": key},
            "size": {"N": str(len(content))},
            "created": {"S": created.astimezone(UTC).isoformat()},
            "width": {"N": str(width)},
            "height": {"N": str(height)},
            "content_type": {"S": found["ContentType"]},
            "thumbnail": {"S": f"{key}.jpg"},
        },
    )


def taken_at(picture: Image.Image) -> datetime | None:
    """Return when the camera says that the picture was taken."""
    text = picture.getexif().get_ifd(EXIF_IFD).get(DATE_TIME_ORIGINAL)
    if not text:
        return None
    return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
