"""How Lambda writes its ARNs.

Source: Service Authorization Reference, "Resource types defined by AWS Lambda".
"""

from __future__ import annotations

import re
from functools import lru_cache

from fogbank.base.arn import arn_of, find_arn, partition_of

LATEST = "$LATEST"
_FUNCTION = "function"
_MAPPING = "event-source-mapping"
_LAYER = "layer"
_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)
_PARTS_MAX = 3
_REMEMBERED_MAX = 1_024


def function_arn(region: str, account: str, name: str, qualifier: str = "") -> str:
    """Return the ARN of a function, of a version of it if there is a qualifier."""
    ending = f":{qualifier}" if qualifier else ""
    return arn_of("lambda", region, account, f"{_FUNCTION}:{name}{ending}")


def layer_arn(region: str, account: str, name: str, number: int = 0) -> str:
    """Return the ARN of a layer, of a version of it if there is a number."""
    ending = f":{number}" if number else ""
    return arn_of("lambda", region, account, f"{_LAYER}:{name}{ending}")


@lru_cache(_REMEMBERED_MAX)
def find_layer(arn: str) -> tuple[str, str, str, int] | None:
    """Return (account, region, name, number or 0) of the ARN of a layer or of a version, or None."""
    parsed = find_arn(arn)
    if parsed is None or parsed.service != "lambda" or not parsed.account:
        return None
    if parsed.partition != partition_of(parsed.region):
        return None
    kind, *rest = parsed.resource.split(":")
    if kind != _LAYER or not 1 <= len(rest) < _PARTS_MAX or not rest[0]:
        return None
    number = rest[1] if len(rest) > 1 else "0"
    if _NUMBER.fullmatch(number) is None:
        return None
    return parsed.account, parsed.region, rest[0], int(number)


def mapping_arn(region: str, account: str, mapping_id: str) -> str:
    """Return the ARN of an event source mapping."""
    return arn_of("lambda", region, account, f"{_MAPPING}:{mapping_id}")


def find_mapping(arn: str) -> tuple[str, str, str] | None:
    """Return (account, region, id) of the ARN of an event source mapping, or None."""
    parsed = find_arn(arn)
    if parsed is None or parsed.service != "lambda":
        return None
    kind, _, mapping_id = parsed.resource.partition(":")
    if kind != _MAPPING or not mapping_id:
        return None
    return parsed.account, parsed.region, mapping_id


@lru_cache(_REMEMBERED_MAX)
def find_function(arn: str) -> tuple[str, str, str, str] | None:
    """Return (account, region, name, qualifier or '') of a function's ARN, or None."""
    parsed = find_arn(arn)
    if parsed is None or parsed.service != "lambda":
        return None
    if parsed.partition != partition_of(parsed.region):
        return None
    kind, *rest = parsed.resource.split(":")
    if kind != _FUNCTION or not 1 <= len(rest) < _PARTS_MAX or not rest[0]:
        return None
    return parsed.account, parsed.region, rest[0], rest[1] if len(rest) > 1 else ""
