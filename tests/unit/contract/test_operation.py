from __future__ import annotations

from types import ModuleType
from typing import Any

from fogbank.base.errors import NotBuilt
from fogbank.contract.operation import operation
from fogbank.contract.service import Service


@operation()
async def list_tables(call: Any, request: Any) -> dict[str, Any]:
    return {"TableNames": []}


@operation(begun=True)
async def put_item(call: Any, request: Any) -> dict[str, Any]:
    raise NotBuilt.operation("dynamodb", "PutItem")


def test_what_is_begun_is_declared_and_not_built() -> None:
    module = ModuleType(__name__)
    vars(module).update(list_tables=list_tables, put_item=put_item)
    service = Service(model="dynamodb", operations=[module])
    assert service.functions.keys() == {"list_tables"}
    assert service.declared.keys() == {"list_tables", "put_item"}
