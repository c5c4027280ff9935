from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import botocore
import pytest
from botocore.config import Config as ClientConfig
from tests.contracts.observation import Observations, observe

from fogbank.server.choices import DynamoDBSettings
from fogbank.server.config import Config
from fogbank.testing.cloud import Cloud

UNSIGNED = ClientConfig(signature_version=botocore.UNSIGNED)
CONFIG = Config(dynamodb=DynamoDBSettings(sql=True))
"""Operations of our own are there too."""
Clients = Callable[..., Any]


def clients_of(cloud: Cloud) -> Clients:
    """Return a source of clients that makes each once: a client costs as much as a hundred calls."""
    made: dict[Any, Any] = {}

    def client(service: str, *, signed: bool = True, **keys: str) -> Any:
        key = (service, signed, *sorted(keys.items()))
        if key not in made:
            config = None if signed else UNSIGNED
            made[key] = cloud.client(service, config=config, **keys)
        return made[key]

    return client


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a cloud for properties that hold whatever else stands in it."""
    with Cloud(replay=True, config=CONFIG, work_dir=tmp_path_factory.mktemp("shared")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def clients(shared: Cloud) -> Clients:
    """Return cached clients of the shared cloud."""
    return clients_of(shared)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a cloud of the module's own."""
    with Cloud(replay=True, config=CONFIG, work_dir=tmp_path_factory.mktemp("own")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def own_clients(own: Cloud) -> Clients:
    """Return cached clients of the module's own cloud."""
    return clients_of(own)


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observations]:
    """Return what every operation asked for and read when it was run."""
    with Cloud(replay=True, config=CONFIG, work_dir=tmp_path_factory.mktemp("observed")) as cloud:
        yield observe(cloud, clients_of(cloud))
