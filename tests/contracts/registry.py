"""What stands, from the registry alone: every property of this folder runs over these lists."""

from __future__ import annotations

from typing import Any, NamedTuple

from botocore.exceptions import UnknownServiceError
from botocore.session import get_session

from fogbank.contract.job import Reconciler
from fogbank.contract.operation import Operation
from fogbank.contract.service import Service
from fogbank.server.jobs import PLATFORM_JOBS
from fogbank.server.roster import ROSTER, services
from fogbank.wire.model import OperationModel, load
from fogbank.wire.published import EXTENSIONS


class Built(NamedTuple):
    """An operation that is built."""

    package: str
    service: Service
    function: str

    @property
    def model(self) -> OperationModel:
        return load(self.service.model).by_function[self.function]

    @property
    def key(self) -> tuple[str, str]:
        """Return the names that tables of this folder use."""
        return self.service.model, self.function

    @property
    def declared(self) -> Operation:
        return self.service.functions[self.function]

    def __str__(self) -> str:
        return f"{self.service.model}:{self.model.name}"


SERVICES = dict(zip(ROSTER, services(), strict=True))
OPERATIONS = [
    Built(package, service, function)
    for package, service in SERVICES.items()
    for function in sorted(service.functions)
]
RECONCILERS = [
    job
    for job in (*PLATFORM_JOBS, *(job for service in SERVICES.values() for job in service.jobs))
    if isinstance(job, Reconciler)
]
_SESSION = get_session()
_SESSION.set_config_variable("data_path", str(EXTENSIONS))


def botocore_model(service: str) -> Any:
    """Return botocore's own model of a service, not ours."""
    return _SESSION.get_service_model(service)


def waiters_of(service: str) -> dict[str, str]:
    """Return the waiters of a service: their names to the operations they call."""
    try:
        model = _SESSION.get_waiter_model(service)
    except UnknownServiceError:
        return {}
    return {name: model.get_waiter(name).operation for name in model.waiter_names}
