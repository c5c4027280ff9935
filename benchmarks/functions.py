"""Functions, side by side: starts, warm invocations, what is accepted to be done later, and photos."""

from __future__ import annotations

import io
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from generator import BadAnswer, Request
from load import Target, ask, load, quantile, signed, signed_json
from main_job import (
    PHOTO,
    PHOTO_TABLE,
    connect_photos,
    create_function,
    create_photo_function,
    create_role,
    upload_times,
    zipped,
)
from PIL import Image, ImageOps
from workloads import s3

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "photo"))
from pictures import picture

PRINTING = "def handler(event, context):\n    print('called', event)\n    return {'ok': True}\n"
ANSWERS = {"printing": b'"ok"', PHOTO: b'"pictures"'}
COLD_STARTS = 15
SMALL_PHOTOS = 100
CORES = multiprocessing.cpu_count()
UPLOADERS = 16
ROW_WAIT_S = 300.0
EDGE = 256


def invocation(
    target: Target, name: str, event: bytes = b"{}", *, later: bool = False, logs: bool = False
) -> Request:
    """Return a signed invocation.

    Args:
        target: Whom to ask.
        name: The function's.
        event: What it is called with.
        later: Whether it is to be done later: then the answer says only that it was accepted.
        logs: Whether the answer is to hold the end of the log.
    """
    headers = {"content-type": "application/json"}
    headers |= {"x-amz-invocation-type": "Event"} if later else {}
    headers |= {"x-amz-log-type": "Tail"} if logs else {}
    path = f"/2015-03-31/functions/{name}/invocations"
    data = signed(target, "lambda", "POST", path, headers, event)
    return Request(data, status=b"202") if later else Request(data, holds=ANSWERS[name])


def warm(target: Target, seconds: float) -> dict[str, float]:
    """Measure invocations of a function that runs already and prints a line."""
    ask(target, [invocation(target, "printing")], connections=1, seconds=0.0)
    requests = [invocation(target, "printing", logs=True)]
    found = load(target, requests, connections=1, seconds=seconds)
    return {"warm_ms_p50": found.p50_ms, "warm_ms_p99": found.p99_ms}


def cold(
    target: Target, name: str, request: Callable[[], Request], variables: dict[str, str]
) -> float:
    """Return the median milliseconds of invocations that each start an environment."""
    functions = target.client("lambda")
    times = []
    for number in range(COLD_STARTS):
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, "NUMBER": str(number)}}
        )
        functions.get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1}
        )
        times += ask(target, [request()], connections=1, seconds=0.0).times
    return statistics.median(times) * 1e3


def set_up(target: Target) -> None:
    """Create the function that prints, and its role."""
    create_role(target)
    create_function(target, "printing", zipped(PRINTING))


def of_peer(target: Target, seconds: float) -> tuple[dict[str, float], str]:
    """Measure what can be measured of a peer; return it, and how it failed if it did."""
    figures: dict[str, float] = {}
    try:
        set_up(target)
        figures |= warm(target, seconds)
        figures["cold_ms_p50"] = cold(
            target, "printing", lambda: invocation(target, "printing"), {}
        )
    except (BadAnswer, OSError, BotoCoreError, ClientError) as error:
        return figures, str(error)
    return figures, ""


def of_ours(target: Target, seconds: float, photos: int) -> dict[str, float]:
    """Measure our functions, photos from upload to row, and invocations that are accepted."""
    set_up(target)
    figures = warm(target, seconds)
    figures["cold_ms_p50"] = cold(target, "printing", lambda: invocation(target, "printing"), {})
    create_photo_function(target)
    figures["cold_photo_ms_p50"] = cold(
        target,
        PHOTO,
        lambda: invocation(target, PHOTO, b'{"Records": []}'),
        {"THUMBNAILS_BUCKET": "thumbnails", "TABLE": PHOTO_TABLE},
    )
    connect_photos(target)
    uploads = upload_times(target, SMALL_PHOTOS)
    figures["photo_small_to_row_ms_p50"] = statistics.median(uploads)
    figures["photo_small_to_row_ms_p99"] = quantile(uploads, 0.99)
    figures |= photographs(target, photos)
    accepted = [invocation(target, "printing", later=True)]
    found = load(target, accepted, connections=64, seconds=seconds)
    figures["async_accepted_per_second"] = found.per_second
    figures["async_accepted_ms_p99"] = found.p99_ms
    return figures


def photographs(target: Target, count: int) -> dict[str, float]:
    """Measure photographs a second from upload to row, against Pillow alone on the same cores."""
    photo = picture("harbour.jpg", "JPEG", (4032, 3024)).content
    before = pillow_alone(photo, count // 2)
    ours = count / uploaded(target, photo, count)
    alone = (before + pillow_alone(photo, count // 2)) / 2
    return {
        "photos": count,
        "photos_per_second": ours,
        "photos_pillow_alone_per_second": alone,
        "photos_of_pillow": ours / alone,
    }


def uploaded(target: Target, photo: bytes, count: int) -> float:
    """Return the seconds from the first of many uploads until every photo has its row.

    Requests are prepared, as everywhere: a client's SDK on the same cores would be measured too.
    """
    names = [f"many/{number}.jpg" for number in range(count)]
    uploads = [s3(target, "PUT", f"/photos/{name}", photo) for name in names]
    rows = [row(target, name) for name in reversed(names)]
    began = time.perf_counter()
    ask(target, uploads, connections=UPLOADERS, seconds=None)
    for name, found in zip(reversed(names), rows, strict=True):
        while not stands(target, found):
            if time.perf_counter() - began > ROW_WAIT_S:
                raise BadAnswer(f"{name} has no row")
            time.sleep(0.05)
    return time.perf_counter() - began


def row(target: Target, name: str) -> Request:
    """Return a signed request that is answered as expected once a photo has its row."""
    get = {"TableName": PHOTO_TABLE, "Key": {"name": {"S": name}}, "ConsistentRead": True}
    return Request(signed_json(target, "GetItem", json.dumps(get).encode()), holds=b'"Item"')


def stands(target: Target, found: Request) -> bool:
    """Return whether a request is answered as expected."""
    try:
        ask(target, [found], connections=1, seconds=None)
    except BadAnswer:
        return False
    return True


def pillow_alone(photo: bytes, count: int) -> float:
    """Return photographs a second of Pillow in as many processes as there are cores."""
    with (
        tempfile.NamedTemporaryFile() as file,
        multiprocessing.get_context("spawn").Pool(CORES) as pool,
    ):
        Path(file.name).write_bytes(photo)
        pool.map(thumbnail, [file.name] * CORES)
        began = time.perf_counter()
        for _ in pool.imap_unordered(thumbnail, [file.name] * count):
            pass
        return count / (time.perf_counter() - began)


def thumbnail(path: str) -> int:
    """Make a thumbnail as the example's function does; return its length."""
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        opened.draft("RGB", (EDGE * 2, EDGE * 2))
        upright = ImageOps.exif_transpose(opened)
        upright.thumbnail((EDGE, EDGE))
        out = io.BytesIO()
        upright.convert("RGB").save(out, "JPEG", quality=85)
    return len(out.getvalue())
