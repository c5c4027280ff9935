"""How a service calls another: typed, in process, authorised like any caller.

Never inside the caller's transaction; what may happen later goes through events instead.
"""

from __future__ import annotations

from typing import Protocol

from fogbank.base.types import Wire
from fogbank.platform.identity.principal import Principal


class Calls(Protocol):
    """Calls an operation of any service in this cloud."""

    async def call(  # noqa: PLR0913 (who asks what of whom, for whom)
        self,
        service: str,
        operation: str,
        request: Wire,
        *,
        principal: Principal,
        region: str,
        account: str = "",
        via: str = "",
        trace: str = "",
    ) -> Wire:
        """Run an operation as a principal and return its reply.

        Args:
            service: The model's name, such as ``logs``.
            operation: The wire name, such as ``PutLogEvents``.
            request: Wire names to values, as a decoded request.
            principal: Who calls; authorised as if it had signed a request.
            region: The region of the endpoint.
            account: The account whose resources are meant, where the principal has none (a
                service principal); otherwise the principal's.
            via: The service that the principal asked and that asks on its behalf, such as ``s3``:
                policies hear it as ``kms:ViaService`` and ``aws:ViaAWSService``. Empty: the
                principal asks for itself.
            trace: The X-Ray trace header of what the call belongs to; empty: of nothing.

        Raises:
            ServiceError: As the operation raises it, or access denied.
        """
        ...
