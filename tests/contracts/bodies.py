"""Sends what botocore would refuse to write: through its own clients, with the parts changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.contracts.registry import Built

from fogbank.testing.cloud import Cloud

Change = Callable[[dict[str, Any]], None]
"""Changes a request as botocore has written it: ``body``, ``headers``, ``query_string``."""


class Answer(NamedTuple):
    """What a client hears; status 0: nothing, for it could not send."""

    status: int
    code: str = ""
    message: str = ""


class Bodies:
    """Clients of a cloud that check nothing themselves, and let requests be changed."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._clients: dict[str, Any] = {}
        self._change: Change | None = None

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            unchecked = Config(parameter_validation=False)
            client = self._clients[service] = self._cloud.client(service, config=unchecked)
            client.meta.events.register("before-call", self._before_call)
        return self._clients[service]

    def _before_call(self, params: dict[str, Any], **_: Any) -> None:
        if self._change is not None:
            self._change(params)

    def send(self, built: Built, request: dict[str, Any], change: Change | None = None) -> Answer:
        """Return what a request is answered with."""
        self._change = change
        try:
            reply = getattr(self._client(built.service.model), built.function)(**request)
        except ClientError as error:
            told = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return Answer(status, told["Code"], told.get("Message", ""))
        except (BotoCoreError, AttributeError, TypeError, ValueError):
            return Answer(0, "unsendable")
        return Answer(reply["ResponseMetadata"]["HTTPStatusCode"])
