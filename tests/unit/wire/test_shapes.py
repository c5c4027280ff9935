"""The generator of stubs: the same text every time, types as the model has them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from fogbank.wire.model import load

TOOL = Path(__file__).parents[3] / "tools" / "shapes.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shapes_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_stub_has_inputs_outputs_and_what_is_beneath(tool: ModuleType) -> None:
    model = load("dynamodb")
    text = tool.stub_of("dynamodb", [model.operations["GetItem"]])
    assert text == tool.stub_of("dynamodb", [model.operations["GetItem"]])
    assert "class GetItemInput(TypedDict, total=False):\n    TableName: Required[str]\n" in text
    assert "    M: dict[str, AttributeValue]\n    L: list[AttributeValue]\n" in text
    assert "class GetItemOutput(" in text
    assert "CreateTable" not in text
    compile(text, "stub", "exec")


def test_streams_timestamps_and_odd_names_have_their_types(tool: ModuleType) -> None:
    model = load("s3")
    text = tool.stub_of("s3", [model.operations["GetObject"], model.operations["PutObject"]])
    assert "    Body: bytes | AsyncIterator[bytes]\n" in text
    assert "    Body: bytes | BodyStream\n" in text
    assert "    LastModified: int\n" in text
    assert tool.package_of("lambda") == "lambda_"


def test_check_fails_until_the_file_is_written(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "SHAPES", tmp_path)
    wanted = ["logs", "--operations", "PutLogEvents"]
    assert tool.main([*wanted, "--check"]) == 1
    assert tool.main(wanted) == 0
    assert tool.main([*wanted, "--check"]) == 0
    (tmp_path / "logs.pyi").write_text("changed")
    assert tool.main([*wanted, "--check"]) == 1
