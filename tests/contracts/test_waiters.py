"""Every waiter of botocore's models whose operation is built waits for what comes about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.waiter
import pytest
from botocore import xform_name
from tests.contracts.conftest import clients_of
from tests.contracts.registry import SERVICES, waiters_of
from tests.contracts.waits import WAITS

from fogbank.testing.cloud import Cloud

WAITERS = [
    (service.model, name)
    for service in SERVICES.values()
    for name, operation in waiters_of(service.model).items()
    if xform_name(operation) in service.functions
    # A published version is the work of an operation that this waiter does not name.
    and not (name == "PublishedVersionActive" and "publish_version" not in service.functions)
]


@pytest.mark.parametrize(("service", "name"), WAITERS, ids=[":".join(each) for each in WAITERS])
def test_a_waiter_is_met(
    service: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = WAITS[service, name]
    with Cloud(replay=True, work_dir=tmp_path) as cloud:
        clients, account = clients_of(cloud), cloud.account.principal.account
        slept: list[Any] = []

        def sleep(seconds: float) -> None:
            if not slept:
                wait.happens(clients, account)
            slept.append(seconds)
            cloud.advance(int(seconds * 1_000))

        monkeypatch.setattr(botocore.waiter.time, "sleep", sleep)
        wait.before(clients, account)
        cloud.settle()
        waiter = clients(service).get_waiter(xform_name(name))
        waiter.wait(**wait.request(clients, account), WaiterConfig={"MaxAttempts": 10})
    assert len(slept) == (0 if wait.at_once else 1)
