"""Functions whose code is a folder of the machine: bucket ``hot-reload``, the folder as key.

The name is LocalStack's ("Hot reloading"), which others of its kind have taken over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.wire.lambda_.conftest import IAM, LAMBDA, LOGS, S3, STS

from fogbank.server.choices import FunctionSettings
from fogbank.server.config import Config
from fogbank.services.lambda_.rules import names
from fogbank.services.lambda_.schema import FUNCTIONS
from fogbank.services.lambda_.state import reloading
from fogbank.services.lambda_.state.runs import Runnable
from fogbank.testing.cloud import Cloud

SOURCE = "def handler(event, context): return {!r}"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Return a cloud whose functions may be folders below ``work``."""
    (tmp_path / "work" / "code").mkdir(parents=True)
    config = Config(functions=FunctionSettings(hot_reload=(str(tmp_path / "work"),)))
    services = [IAM, LAMBDA, LOGS, S3, STS]
    with Cloud(services=services, replay=True, work_dir=tmp_path, config=config) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work" / "code"


@pytest.fixture
def write(folder: Path) -> Callable[[str], None]:
    return lambda answer: (folder / "app.py").write_text(SOURCE.format(answer)) and None


def code_of(folder: Path) -> dict[str, str]:
    return {"S3Bucket": "hot-reload", "S3Key": str(folder)}


def test_an_invocation_runs_what_the_folder_has_then(
    create: Any, functions: Any, invoke: Any, lines: Any, write: Any, folder: Path, cloud: Cloud
) -> None:
    write("one")
    made = create(Code=code_of(folder))
    assert [invoke()["Payload"] for _ in range(2)] == ["one", "one"]
    assert cloud.app.parts.functions.cold_starts == 1
    write("two")
    assert [invoke()["Payload"] for _ in range(2)] == ["two", "two"]
    assert cloud.app.parts.functions.cold_starts == 2
    cloud.settle()
    assert cloud.app.parts.functions.environments == 1  # that of the code before has ended
    starts = [line for line in lines() if line.startswith("START")]
    assert all(line.endswith(f"Version: $LATEST Hot reload: {folder}\n") for line in starts)
    # The function is durable with what it ran: its digest says so, and its package can be had.
    after = functions.get_function_configuration(FunctionName="f")
    assert after["CodeSha256"] != made["CodeSha256"]
    assert after["RevisionId"] != made["RevisionId"]


def test_a_file_that_was_touched_and_is_the_same_ends_no_environment(
    create: Any, functions: Any, invoke: Any, write: Any, folder: Path, cloud: Cloud
) -> None:
    write("one")
    revision = create(Code=code_of(folder))["RevisionId"]
    invoke()
    (folder / "app.py").touch()
    assert invoke()["Payload"] == "one"
    assert cloud.app.parts.functions.cold_starts == 1
    assert functions.get_function_configuration(FunctionName="f")["RevisionId"] == revision


def test_a_queued_event_and_an_alias_run_what_they_should(
    create: Any, functions: Any, invoke: Any, lines: Any, write: Any, folder: Path, cloud: Cloud
) -> None:
    write("one")
    create(Code=code_of(folder), Publish=True)
    (folder / "app.py").write_text("def handler(event, context): print('ran', event)")
    invoke("later", InvocationType="Event")
    cloud.advance(1_000)
    assert "ran later\n" in lines()
    # A published version never changes; nor does it say that it is a folder's.
    assert invoke(Qualifier="1")["Payload"] == "one"
    assert not any(line.startswith("START") and "Version: 1 Hot" in line for line in lines())


def test_code_can_become_a_folder_and_a_folder_code(
    create: Any, functions: Any, invoke: Any, write: Any, folder: Path, zipped: Any
) -> None:
    create(SOURCE.format("zip"))
    write("folder")
    functions.update_function_code(FunctionName="f", **code_of(folder))
    assert invoke()["Payload"] == "folder"
    functions.update_function_code(FunctionName="f", ZipFile=zipped(SOURCE.format("zip again")))
    write("nobody looks")
    assert invoke()["Payload"] == "zip again"


@pytest.mark.parametrize("trouble", ["gone", "empty", "forbidden"])
def test_what_ran_last_runs_where_the_folder_cannot_be_used_and_the_log_says_so(
    trouble: str,
    create: Any,
    invoke: Any,
    write: Any,
    folder: Path,
    cloud: Cloud,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write("one")
    create(Code=code_of(folder))
    if trouble == "gone":
        folder.rename(folder.with_name("away"))
    elif trouble == "empty":
        (folder / "app.py").unlink()
    else:
        cloud.app.facilities.folders._tops.clear()  # as after a start with another setting
    with caplog.at_level(logging.WARNING, "fogbank.functions"):
        assert invoke()["Payload"] == "one"
    (record,) = caplog.records
    assert record.message.startswith("HOT RELOAD: arn:aws:lambda:")
    assert ":f runs what it ran last: " in record.message


def test_a_folder_that_may_not_be_named_is_refused_as_code(
    create: Any, functions: Any, write: Any, folder: Path, tmp_path: Path
) -> None:
    for key in (str(tmp_path), "/etc", str(folder.with_name("none"))):
        with pytest.raises(ClientError, match="Error occurred while reading the code: ") as caught:
            create(Code=code_of(Path(key)))
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    with pytest.raises(ClientError, match="non-empty zip"):
        create(Code=code_of(folder))
    key = "arn:aws:kms:us-east-1:111122223333:key/1"
    with pytest.raises(ClientError, match="SourceKMSKeyArn cannot be given"):
        create(Code={**code_of(folder), "SourceKMSKeyArn": key})
    # Any other key is an object's, and the bucket of that name a bucket.
    with pytest.raises(ClientError, match="S3 Error Code: NoSuchBucket"):
        create(Code={"S3Bucket": "hot-reload", "S3Key": "code.zip"})
    content = code_of(folder)
    with pytest.raises(ClientError, match="S3 Error Code: NoSuchBucket"):
        functions.publish_layer_version(LayerName="layer", Content=content)


def test_two_who_see_a_change_at_once_take_it_once(
    create: Any, write: Any, folder: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds in its transaction that the first has taken the code, and keeps nothing."""
    write("one")
    create(Code=code_of(folder))
    write("two")
    facilities, account = cloud.app.facilities, cloud.account.principal.account
    dropped: list[Any] = []
    delete = facilities.blobs.delete

    async def noting(blob: Any) -> None:
        dropped.append(blob)
        await delete(blob)

    monkeypatch.setattr(facilities.blobs, "delete", noting)

    async def both() -> Any:
        store = facilities.placement.store_of(names.domain_of(account, "us-east-1"))
        seen = await store.read(lambda tr: FUNCTIONS.find(tr, "f"))
        assert seen is not None
        found = Runnable(seen, None)  # type: ignore[arg-type]
        first = await reloading.current(facilities, account, "us-east-1", found)
        second = await reloading.current(facilities, account, "us-east-1", found)
        assert first.version.deployment != seen.deployment
        return first.version, second.version

    first, second = cloud.run(both())
    assert first == second
    taken = first.blob.number
    assert [each.number for each in dropped if each.number >= taken] == [taken + 1]


def test_code_that_was_given_while_the_folder_was_read_stays(
    create: Any, functions: Any, write: Any, folder: Path, cloud: Cloud, invoke: Any, zipped: Any
) -> None:
    write("one")
    create(Code=code_of(folder))
    facilities, account = cloud.app.facilities, cloud.account.principal.account
    store = facilities.placement.store_of(names.domain_of(account, "us-east-1"))
    seen = cloud.run(store.read(lambda tr: FUNCTIONS.find(tr, "f")))  # type: ignore[arg-type]
    assert seen is not None
    write("two")
    functions.update_function_code(FunctionName="f", ZipFile=zipped(SOURCE.format("given")))
    found = Runnable(seen, None)  # type: ignore[arg-type]
    after = cloud.run(reloading.current(facilities, account, "us-east-1", found))
    assert after.version.folder == ""
    assert invoke()["Payload"] == "given"
