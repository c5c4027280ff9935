"""A name that no model has is an error of types: operations are typed by the generated shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts.registry import OPERATIONS as BUILT
from tests.contracts.registry import Built

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "src/fogbank/services/dynamodb/operations"
TYPOS = [
    # What a request is asked for in brackets, and what a typed reply is given; not what ``get``
    # asks for: a TypedDict takes any name there.
    ("items.py", 'request["Item"]', 'request["Itm"]', "Itm"),
    ("tables.py", '{"TableNames": found[:limit]}', '{"TableName": found[:limit]}', "TableName"),
    ("tables.py", 'reply["LastEvaluatedTableName"]', 'reply["LastTableName"]', "LastTableName"),
]


def errors_of(*paths: Path) -> list[str]:
    """Return what the type checker says of files."""
    checker = Path(sys.executable).with_name("basedpyright")
    done = subprocess.run(
        [checker, "--outputjson", "--level", "error", *paths],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    return [each["message"] for each in json.loads(done.stdout)["generalDiagnostics"]]


@pytest.mark.slow
def test_a_misspelt_member_is_an_error_of_types(tmp_path: Path) -> None:
    for module, right, wrong, _ in TYPOS:
        copy = tmp_path / module
        text = (copy if copy.exists() else OPERATIONS / module).read_text()
        assert text.count(right) == 1, f"the example has changed: {right}"
        copy.write_text(text.replace(right, wrong))
    said = " ".join(errors_of(*{tmp_path / module for module, *_ in TYPOS}))
    assert [name for *_, name in TYPOS if f'"{name}"' not in said] == []


UNTYPED_REPLIES = {
    # Their items are dicts of attribute values as the rules have checked them, not of shapes.
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
}


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_an_operation_is_typed_by_the_shapes_of_its_model(built: Built) -> None:
    model, annotations = built.model, built.declared.function.__annotations__
    if model.input is not None:
        assert annotations["request"] == f"shapes.{model.input.name}"
    if model.output is not None and str(built) not in UNTYPED_REPLIES:
        assert annotations["return"] == f"shapes.{model.output.name}"
