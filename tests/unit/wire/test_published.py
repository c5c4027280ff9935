from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from fogbank.server.roster import services
from fogbank.wire import model, published

SERVICES = sorted(service.model for service in services())


def botocores() -> Loader:
    return Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)


@pytest.mark.slow  # botocore looks through its whole folder for each file
@pytest.mark.parametrize("kind", ["service-2", "paginators-1"])
def test_what_is_read_is_what_botocore_reads(kind: str) -> None:
    # Those of DocumentDB and the paging of Access Analyzer are amended; DynamoDB has a former version.
    loader = botocores()
    for service in (*SERVICES, "accessanalyzer", "docdb"):
        assert published.read(service, kind) == loader.load_service_model(service, kind)


def test_lists_are_read_as_botocore_reads_them() -> None:
    loader = botocores()
    for name in ("partitions", "endpoints"):
        assert published.read_list(name) == loader.load_data(name)


def test_amendments_are_merged_object_by_object(tmp_path: Path) -> None:
    version = tmp_path / "thing" / "2020-01-01"
    version.mkdir(parents=True)
    (version / "service-2.json").write_text(json.dumps({"shapes": {"A": {"x": 1, "y": 2}}}))
    more = {"version": 1.0, "merge": {"shapes": {"A": {"y": 3}, "B": {}}, "z": 0}}
    (version / "service-2.sdk-extras.json").write_text(json.dumps(more))
    assert published.read("thing", "service-2", tmp_path) == {
        "shapes": {"A": {"x": 1, "y": 3}, "B": {}},
        "z": 0,
    }


def test_the_latest_version_that_has_the_file_counts(tmp_path: Path) -> None:
    for version, content in (("2019-01-01", 1), ("2021-01-01", 2), ("2022-01-01", None)):
        (tmp_path / "thing" / version).mkdir(parents=True)
        if content:
            file = tmp_path / "thing" / version / "service-2.json"
            file.write_text(json.dumps({"v": content}))
    assert published.read("thing", "service-2", tmp_path) == {"v": 2}


@pytest.mark.parametrize(("service", "kind"), [("nothing", "service-2"), ("sts", "paginators-2")])
def test_what_is_not_there_is_said(service: str, kind: str) -> None:
    with pytest.raises(published.NotPublished):
        published.read(service, kind)
    with pytest.raises(published.NotPublished):
        published.read_list(service)


def test_models_are_kept_without_their_prose() -> None:
    def prose(node: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = []
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == "documentation" and isinstance(value, str):
                found.append(path)
            found += prose(value, (*path, key))
        return found

    for service in SERVICES:
        kept = model.load(service)
        assert [prose(each.raw, (service, each.name)) for each in kept.operations.values()] == [
            [] for _ in kept.operations
        ]
        assert [prose(kept.shape(name).raw, (service, name)) for name in kept.shape_names] == [
            [] for _ in kept.shape_names
        ]


def test_what_an_operation_does_can_be_read_all_the_same() -> None:
    said = model.documentation(model.load("sts").operations["GetCallerIdentity"])
    assert "IAM user or role whose credentials are used" in said
