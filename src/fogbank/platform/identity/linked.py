"""Service-linked roles: roles that one service has in an account, and nobody else may change.

Rule: such a role lies under ``/aws-service-role/``, where no other role can be made; it trusts its
service alone, and has the one policy that AWS publishes for it.

Source: IAM User Guide, "Create a service-linked role"; Application Auto Scaling User Guide,
"Service-linked roles for Application Auto Scaling".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from fogbank.base.arn import global_arn

PATH: Final = "/aws-service-role/"
"""What the paths of these roles, and of their policies, begin with."""


class LinkedRole(NamedTuple):
    """The role of a service."""

    service: str
    """The principal that it trusts, such as ``dynamodb.application-autoscaling.amazonaws.com``."""
    name: str
    policy: str
    """The name of AWS's policy that it has."""

    @property
    def path(self) -> str:
        """Return the path under which it lies."""
        return f"{PATH}{self.service}/"

    @property
    def trust(self) -> str:
        """Return its trust policy."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": self.service},
            "Action": "sts:AssumeRole",
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def arn(self, partition: str, account: str) -> str:
        """Return its ARN in an account."""
        return global_arn(partition, "iam", account, f"role{self.path}{self.name}")

    def policy_arn(self, partition: str) -> str:
        """Return the ARN of its policy."""
        return global_arn(partition, "iam", "aws", f"policy{PATH}{self.policy}")


LINKED_ROLES: Final[Mapping[str, LinkedRole]] = {
    each.service: each
    for each in (
        LinkedRole(
            "dynamodb.application-autoscaling.amazonaws.com",
            "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
            "AWSApplicationAutoscalingDynamoDBTablePolicy",
        ),
    )
}
"""By the service that they trust."""
