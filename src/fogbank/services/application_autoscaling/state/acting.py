"""What is asked of the service that has a resource: as the service-linked role, authorised like anyone.

The role is taken on anew for each order, by the service principal that it trusts, so that what is
withdrawn from it is missed.
"""

from __future__ import annotations

from typing import Final

from fogbank.base.arn import partition_of
from fogbank.base.types import Wire
from fogbank.contract.call import Facilities
from fogbank.platform.identity.principal import Principal, service_principal
from fogbank.services.application_autoscaling import arns
from fogbank.services.application_autoscaling.rules.dimensions import (
    Asked,
    Dimension,
    dimension_of,
)
from fogbank.services.application_autoscaling.schema import TargetRecord

_SESSION: Final = "AutoScaling-SetCapacity"
_SESSION_S: Final = 900


class Actor:
    """Acts on a target's resource.

    Args:
        facilities: The way to other services.
        target: What is scaled.
        account: Whose it is.
        region: Where.
    """

    def __init__(
        self, facilities: Facilities, target: TargetRecord, account: str, region: str
    ) -> None:
        self._facilities = facilities
        self._target = target
        self._account = account
        self._region = region
        self._dimension: Dimension = dimension_of(target.place)
        self._principal: Principal | None = None

    async def _session(self) -> Principal:
        """Return a session of the service-linked role.

        Raises:
            ServiceError: There is no such role.
        """
        if self._principal is not None:
            return self._principal
        role = self._dimension.role
        caller = service_principal(
            role.service,
            source_arn=arns.target_arn(self._region, self._account, self._target.id),
            source_account=self._account,
        )
        reply = await self._facilities.calls.call(
            "sts",
            "AssumeRole",
            {
                "RoleArn": role.arn(partition_of(self._region), self._account),
                "RoleSessionName": _SESSION,
                "DurationSeconds": _SESSION_S,
            },
            principal=caller,
            region=self._region,
            account=self._account,
        )
        given = reply["Credentials"]
        identity = self._facilities.identity
        credential = await identity.credential(given["AccessKeyId"], given["SessionToken"])
        assert credential is not None, "a fresh session proves who it is"
        self._principal = credential.principal
        return self._principal

    async def ask(self, asked: Asked) -> Wire:
        """Return the answer of the resource's service.

        Raises:
            ServiceError: It refuses.
            Weather: It has to be asked again.
        """
        return await self._facilities.calls.call(
            self._dimension.service,
            asked.operation,
            asked.request,
            principal=await self._session(),
            region=self._region,
        )
