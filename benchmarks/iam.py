"""How long a decision takes: remembered, evaluated anew, and evaluated for an action never seen.

The caller is a session of a role with ten managed policies, a permissions boundary and a session
policy, two hundred statements in all, and the resource has a policy of its own. Statements have
conditions, variables and wildcards as published policies have. Run: ``python benchmarks/iam.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import record

from fogbank.contract.call import HttpFacts
from fogbank.gateway.authorize import Circumstances
from fogbank.platform.iam.decision import PolicySource
from fogbank.platform.iam.decisions import Decisions
from fogbank.platform.iam.evaluate import PolicySet, evaluate
from fogbank.platform.iam.index import StatementIndex
from fogbank.platform.iam.policy import Policy, compile_policy
from fogbank.platform.iam.request import AccessRequest
from fogbank.platform.identity.principal import Principal, PrincipalKind

ACCOUNT = "111122223333"
ROUNDS = 20_000
STATEMENTS = 200
REPEATS = 5
OBJECT = "arn:aws:s3:::photos-7/home/worker/2026/07/picture.jpg"
CALLER = Principal(
    kind=PrincipalKind.SESSION,
    account=ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one",
    unique_id="AROAEXAMPLE",
    name="worker",
    session_name="one",
    tags=(("team", "red"),),
)
HTTP = HttpFacts(source_ip="203.0.113.9", user_agent="aws-cli/2", secure=True)
NOW_MS = 1_767_225_600_000
SERVICES = ("s3", "dynamodb", "lambda", "logs", "sqs", "sns", "kms", "kinesis", "events", "ecr")


def _statements(number: int) -> list[dict[str, Any]]:
    """Return the sixteen statements of a managed policy: of S3 a third, of others the rest."""
    service = SERVICES[number]
    found: list[dict[str, Any]] = [
        {
            "Effect": "Deny",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::secret-{number}", f"arn:aws:s3:::secret-{number}/*"],
        },
        {
            "Effect": "Deny",
            "Action": ["s3:Put*", "s3:Delete*"],
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::bucket-{number}-*/*", f"arn:aws:s3:::bucket-{number}-*"],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject*", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::photos-{number}/home/${{aws:PrincipalTag/team}}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["s3:*Object"],
            "Resource": f"arn:aws:s3:::photos-{number}/home/worker/*",
            "Condition": {
                "StringEquals": {"aws:PrincipalTag/team": ["red", "blue"]},
                "IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "10.0.0.0/8"]},
            },
        },
    ]
    return found + [
        {
            "Effect": "Allow",
            "Action": [f"{service}:Get*", f"{service}:List*", f"{service}:Describe{place}*"],
            "Resource": f"arn:aws:{service}:*:{ACCOUNT}:thing/{place}/*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}},
        }
        for place in range(11)
    ]


def _policy(kind: Any, statements: list[dict[str, Any]]) -> Policy:
    return compile_policy({"Version": "2012-10-17", "Statement": statements}, kind=kind)


def _policies() -> tuple[PolicySet, Policy]:
    """Return the caller's policies and the resource's, two hundred statements in all."""
    managed = [
        (
            _policy("identity", _statements(number)),
            PolicySource("managed", f"arn:aws:iam::{ACCOUNT}:policy/p{number}", CALLER.role_arn),
        )
        for number in range(10)
    ]
    wide = [{"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"} for service in SERVICES]
    deny = {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}
    boundary = _policy("identity", [*wide, *[deny] * 5])
    session = _policy("session", [*wide, *[deny] * 5])
    resource = _policy(
        "resource",
        [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::photos-7/*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            *(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::44445555666{number}:root"},
                    "Action": "s3:GetObject",
                    "Resource": "arn:aws:s3:::photos-7/*",
                }
                for number in range(9)
            ),
        ],
    )
    total = sum(len(policy.statements) for policy, _ in managed)
    total += sum(len(policy.statements) for policy in (boundary, session, resource))
    assert total == STATEMENTS, total
    source = PolicySource("boundary", f"arn:aws:iam::{ACCOUNT}:policy/b", CALLER.role_arn)
    own = PolicySet(
        StatementIndex(managed),
        StatementIndex([(session, PolicySource("session"))]),
        StatementIndex([(boundary, source)]),
    )
    return own, resource


def _microseconds(work: Callable[[int], object], rounds: int) -> float:
    """Return the processor time of one round, the least of several runs: what it costs."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time()
        for number in range(rounds):
            work(number)
        best = min(best, time.process_time() - begin)
    return round(best / rounds * 1e6, 2)


def main() -> None:
    """Measure and write the figures."""
    own, resource = _policies()
    decisions = Decisions()
    # Decided by a statement whose variable follows from the caller: it can be remembered.
    plain = "arn:aws:s3:::photos-3/home/red/picture.jpg"

    def context() -> Circumstances:
        """Return the keys of a request as the gateway makes them: nothing is computed yet."""
        return Circumstances(CALLER, "us-east-1", HTTP, NOW_MS, {})

    fixed = context()
    asked = (CALLER, own, "s3:GetObject", plain, fixed)
    assert decisions.decide(*asked, owner=ACCOUNT, policy=resource).allowed
    assert len(decisions) == 1, "the decision of all two hundred statements is remembered"
    names = [f"{OBJECT}-{number}" for number in range(ROUNDS)]
    actions = [f"s3:Get{number}Object" for number in range(2_000)]

    def cached(_: int) -> object:
        return decisions.decide(*asked, owner=ACCOUNT, policy=resource)

    def uncached(number: int) -> object:
        request = AccessRequest(CALLER, "s3:GetObject", names[number], context(), ACCOUNT)
        return evaluate(request, own.with_resource(resource))

    def unseen(number: int) -> object:
        request = AccessRequest(CALLER, actions[number], OBJECT, context(), ACCOUNT)
        return evaluate(request, own.with_resource(resource))

    decision: Any = uncached(0)
    assert decision.allowed, decision
    figures = {
        "cached_us": _microseconds(cached, ROUNDS),
        "uncached_us": _microseconds(uncached, ROUNDS),
        "uncached_unseen_action_us": _microseconds(unseen, len(actions)),
        "statements": STATEMENTS,
    }
    promises = {
        "cached_us": "<= 3",
        "uncached_us": "<= 30",
        "uncached_unseen_action_us": "<= 30",
    }
    failures = [
        f"{name} is {figures[name]}, promised {promise}"
        for name, promise in promises.items()
        if not record.holds(promise, figures[name])
    ]
    record.write("iam", "python benchmarks/iam.py", figures, failures=failures, promises=promises)
    print(figures, failures)


if __name__ == "__main__":
    main()
