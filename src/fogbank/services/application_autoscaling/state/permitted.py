"""Finding a target, and deciding whether the caller may do to it what the operation does."""

from __future__ import annotations

from fogbank.contract.action import ContextValue
from fogbank.contract.call import Call
from fogbank.services.application_autoscaling import arns
from fogbank.services.application_autoscaling.rules import access
from fogbank.services.application_autoscaling.schema import Place, TargetRecord
from fogbank.services.application_autoscaling.state import targets

Keys = dict[str, ContextValue]


async def require_permitted(call: Call, place: Place) -> None:
    """Let a caller go on who may act on the target of a place.

    Raises:
        AccessDeniedException: The caller may not, whether or not there is one.
    """
    arn = arns.arn_of_target(call.region, call.account, place)
    await call.require(f"application-autoscaling:{call.operation}", arn, access.keys_of(place))


async def permitted_by_arn(call: Call, arn: str, keys: Keys) -> TargetRecord:
    """Return the target with an ARN, once the caller may act on it.

    Raises:
        AccessDeniedException: The caller may not, whether or not there is one.
        ResourceNotFoundException: There is none.
    """
    await call.require(f"application-autoscaling:{call.operation}", arn, keys)
    target_id = access.own_target_id(call.scope, arn)
    target = await call.store.read(lambda tr: targets.find_by_id(tr, target_id))
    if target is None:
        raise access.no_target(arn)
    return target
