"""Every error of a service is one that AWS has: in botocore's model, or on a page that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.contracts.registry import SERVICES, botocore_model

from fogbank.base.errors import ServiceError
from fogbank.wire.compile import codec_of

UNMODELLED = Path(__file__).with_name("unmodelled.txt")
SHARED = {
    # Bases of the errors of one service, which nobody raises.
    "S3Error",
    "UserError",
}
DEFAULT = {"json": 400}
"""Protocols whose models give errors no status: JSON services answer clients with 400."""

FAULTS = {("dynamodb", "InternalServerError"): 500}
"""Errors that are not the client's, where the model does not say so (Amazon DynamoDB Developer Guide,
"Error handling with DynamoDB": HTTP status code 500)."""


class Told(NamedTuple):
    """An error class of a service."""

    service: str
    kind: type[ServiceError]

    def __str__(self) -> str:
        return f"{self.service}.{self.kind.code}"


def below(kind: type[ServiceError]) -> set[type[ServiceError]]:
    return {kind}.union(*(below(each) for each in kind.__subclasses__()))


def told_by(package: str) -> list[type[ServiceError]]:
    """Return every error class of a service's package, wherever in it it stands."""
    home = f"fogbank.services.{package}."
    found = [each for each in below(ServiceError) if each.__module__.startswith(home)]
    return sorted((each for each in found if each.__name__ not in SHARED), key=lambda e: e.code)


ERRORS = [
    Told(service.model, kind) for package, service in SERVICES.items() for kind in told_by(package)
]


def modelled(service: str) -> dict[str, int | None]:
    """Return the errors of botocore's model: their wire codes, and their statuses if it has any."""
    model = botocore_model(service)
    shapes = [model.shape_for(name) for name in model.shape_names]
    errors = [shape for shape in shapes if shape.metadata.get("exception")]
    return {
        shape.metadata.get("error", {}).get("code", shape.name): shape.metadata.get(
            "error", {}
        ).get("httpStatusCode")
        for shape in errors
    }


def listed() -> dict[tuple[str, str], tuple[int, str]]:
    """Return the errors that are not modelled: their statuses and pages."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for line in UNMODELLED.read_text().splitlines():
        if line and not line.startswith("#"):
            head, _, page = line.partition(": ")
            service, code, status = head.split()
            found[service, code] = int(status), page
    return found


def status_of(told: Told) -> int:
    """Return the status that a client is answered with."""
    codec: Any = codec_of(told.service)
    return codec.encode_error(None, told.kind("said"), "request").status


@pytest.mark.parametrize("told", ERRORS, ids=str)
def test_an_error_is_in_the_model_or_on_a_named_page_and_has_its_status(told: Told) -> None:
    known = modelled(told.service)
    if told.kind.code in known:
        assert (told.service, told.kind.code) not in listed(), (
            "it is modelled: take it off the list"
        )
        protocol = botocore_model(told.service).metadata["protocol"]
        fault = FAULTS.get((told.service, told.kind.code))
        assert status_of(told) == (fault or known[told.kind.code] or DEFAULT[protocol])
        return
    status, page = listed()[told.service, told.kind.code]
    assert status_of(told) == status
    assert "Reference" in page or "Guide" in page


def test_every_listed_error_is_one_of_a_service() -> None:
    assert listed().keys() <= {(told.service, told.kind.code) for told in ERRORS}


def test_errors_are_named_as_their_codes() -> None:
    assert [
        str(told) for told in ERRORS if told.kind.__name__ != told.kind.code.replace(".", "")
    ] == []
    # The second API of a service is of its package, and tells its errors.
    assert {told.service for told in ERRORS} == {service.model for service in SERVICES.values()} - {
        "dynamodbstreams",
        "s3control",
    }
