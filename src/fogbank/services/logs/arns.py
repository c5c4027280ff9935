"""How CloudWatch Logs writes its ARNs.

Source: CloudWatch Logs User Guide, "Overview of managing access permissions to your CloudWatch Logs
resources"; Service Authorization Reference, "Resource types defined by Amazon CloudWatch Logs".
"""

from __future__ import annotations

from fogbank.base.arn import arn_of, find_arn

_GROUP = "log-group:"


def group_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a log group, as tagging uses it."""
    return arn_of("logs", region, account, f"{_GROUP}{name}")


def stream_arn(region: str, account: str, group: str, name: str) -> str:
    """Return the ARN of a log stream.

    AWS: with an empty stream name it is what a policy must allow for operations on a whole group,
    which is why policies end group ARNs in ``:*`` (messages of refused callers: "is not authorized
    to perform: logs:DescribeLogStreams on resource: arn:aws:logs:...:log-group:NAME:log-stream:").
    """
    return f"{group_arn(region, account, group)}:log-stream:{name}"


def find_group_name(arn: str, region: str, account: str) -> str | None:
    """Return the name in the ARN of a log group of this account and region, or None."""
    parsed = find_arn(arn.removesuffix(":*"))
    if parsed is None or parsed.service != "logs" or not parsed.resource.startswith(_GROUP):
        return None
    if (parsed.region, parsed.account) != (region, account):
        return None
    return parsed.resource.removeprefix(_GROUP)
