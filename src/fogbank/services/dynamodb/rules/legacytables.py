"""Global tables of 2017: in which words they are refused.

Source: answers of AWS in October 2026 (ack-api-quirks, DDB-GLOBALTABLE-002).
"""

from __future__ import annotations

from typing import Final

from fogbank.services.dynamodb.errors import ValidationException

_INVALID: Final = "One or more parameter values were invalid: "
_VERSION: Final = "DynamoDB global tables version 2017.11.29 is not supported"
_REGIONS: Final = (
    *("eu-west-2", "eu-west-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-2"),
    *("eu-central-1", "ap-northeast-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
"""Where there ever were any, in the order in which AWS names them."""


def not_supported(region: str) -> ValidationException:
    """Return the error for what would make a global table of 2017 in a region."""
    if region in _REGIONS:
        return ValidationException(
            f"{_INVALID}{_VERSION}. We recommend using DynamoDB global tables version 2019.11.21,"
            " instead of version 2017.11.29 (Legacy)."
        )
    return ValidationException(
        f"{_INVALID}{_VERSION} in this region '{region}', supported regions are :"
        f" [{', '.join(_REGIONS)}]"
    )
