"""AWS managed policies: those that templates attach, as AWS publishes them.

Only statements about services exist here that the policy on AWS has too; a policy that is missing
cannot be attached. Source: AWS Managed Policy Reference Guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from fogbank.base.arn import PARTITIONS, find_arn, global_arn

_CREATED_MS: Final = 1_423_190_407_000
"""2015-02-06: when AWS introduced managed policies."""

_LOGS_WRITE: Final = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_LAMBDA_STREAMS: Final = (
    *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    "dynamodb:ListStreams",
)
_LAMBDA_KINESIS: Final = (
    *("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords"),
    *("kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams"),
    "kinesis:SubscribeToShard",
)
_LAMBDA_SQS: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_LAMBDA_VPC: Final = (
    *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses"),
    "ec2:UnassignPrivateIpAddresses",
)


class ManagedPolicy(NamedTuple):
    """One policy of AWS's."""

    name: str
    path: str
    unique_id: str
    document: str
    created_ms: int
    partition: str

    @property
    def arn(self) -> str:
        """Return the ARN, which names no account."""
        return global_arn(self.partition, "iam", "aws", f"policy{self.path}{self.name}")


def _allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _documents() -> dict[str, list[dict[str, Any]]]:
    """Return the statements of each policy, by path and name."""
    return {
        "/AdministratorAccess": [_allow("*")],
        "/PowerUserAccess": [
            {
                "Effect": "Allow",
                "NotAction": ["iam:*", "organizations:*", "account:*"],
                "Resource": "*",
            },
            _allow(
                *("account:GetAccountInformation", "account:GetPrimaryEmail"),
                *("account:ListRegions", "iam:CreateServiceLinkedRole"),
                *("iam:DeleteServiceLinkedRole", "iam:ListRoles"),
                "organizations:DescribeOrganization",
            ),
        ],
        "/IAMFullAccess": [
            _allow(
                *("iam:*", "organizations:DescribeAccount", "organizations:DescribeOrganization"),
                *("organizations:DescribeOrganizationalUnit", "organizations:DescribePolicy"),
                *("organizations:ListChildren", "organizations:ListParents"),
                *("organizations:ListPoliciesForTarget", "organizations:ListRoots"),
                *("organizations:ListPolicies", "organizations:ListTargetsForPolicy"),
            )
        ],
        "/IAMReadOnlyAccess": [
            _allow(
                *("iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails"),
                *("iam:Get*", "iam:List*", "iam:SimulateCustomPolicy"),
                "iam:SimulatePrincipalPolicy",
            )
        ],
        "/AmazonS3FullAccess": [_allow("s3:*", "s3-object-lambda:*")],
        "/AmazonS3ReadOnlyAccess": [
            _allow(
                *("s3:Get*", "s3:List*", "s3:Describe*"),
                *("s3-object-lambda:Get*", "s3-object-lambda:List*"),
            )
        ],
        **_logs_documents(),
        **_lambda_documents(),
        **_linked_documents(),
    }


def _logs_documents() -> dict[str, list[dict[str, Any]]]:
    """Return the statements of the policies about logs."""
    return {
        "/CloudWatchLogsFullAccess": [
            _allow("logs:*", "cloudwatch:GenerateQuery", "cloudwatch:GenerateQueryResultsSummary")
        ],
        "/CloudWatchLogsReadOnlyAccess": [
            _allow(
                *("logs:Describe*", "logs:Get*", "logs:List*", "logs:StartQuery"),
                *("logs:StopQuery", "logs:TestMetricFilter", "logs:FilterLogEvents"),
                *("logs:StartLiveTail", "logs:StopLiveTail", "cloudwatch:GenerateQuery"),
                "cloudwatch:GenerateQueryResultsSummary",
            )
        ],
    }


def _linked_documents() -> dict[str, list[dict[str, Any]]]:
    """Return the statements of the policies of service-linked roles."""
    return {
        "/aws-service-role/AWSApplicationAutoscalingDynamoDBTablePolicy": [
            _allow(
                *("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
                *("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms"),
                "cloudwatch:DeleteAlarms",
            )
        ],
    }


def _lambda_documents() -> dict[str, list[dict[str, Any]]]:
    """Return the statements of the policies about functions."""
    return {
        "/AWSLambda_FullAccess": _lambda_full(),
        "/AWSLambda_ReadOnlyAccess": [
            _allow(
                *("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
                *("cloudwatch:GetMetricData", "cloudwatch:ListMetrics"),
                *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
                *("kms:ListAliases", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole"),
                *("iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"),
                *("iam:ListRoles", "logs:DescribeLogGroups", "lambda:Get*", "lambda:List*"),
                *("states:DescribeStateMachine", "states:ListStateMachines"),
                *("tag:GetResources", "xray:GetTraceSummaries", "xray:BatchGetTraces"),
            ),
            _allow(
                *("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
                *("logs:StartQuery", "logs:StopQuery", "logs:DescribeQueries"),
                *("logs:GetLogGroupFields", "logs:GetLogRecord", "logs:GetQueryResults"),
                resource="arn:aws:logs:*:*:log-group:/aws/lambda/*",
            ),
        ],
        "/service-role/AWSLambdaBasicExecutionRole": [_allow(*_LOGS_WRITE)],
        "/service-role/AWSLambdaDynamoDBExecutionRole": [_allow(*_LAMBDA_STREAMS, *_LOGS_WRITE)],
        "/service-role/AWSLambdaKinesisExecutionRole": [_allow(*_LAMBDA_KINESIS, *_LOGS_WRITE)],
        "/service-role/AWSLambdaSQSQueueExecutionRole": [_allow(*_LAMBDA_SQS, *_LOGS_WRITE)],
        "/service-role/AWSLambdaVPCAccessExecutionRole": [_allow(*_LOGS_WRITE, *_LAMBDA_VPC)],
        "/service-role/AWSLambdaRole": [_allow("lambda:InvokeFunction")],
        "/AWSLambdaExecute": [
            _allow("logs:*", resource="arn:aws:logs:*:*:*"),
            _allow("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::*"),
        ],
        "/AWSLambdaInvocation-DynamoDB": [
            _allow("lambda:InvokeFunction"),
            _allow(*_LAMBDA_STREAMS),
        ],
    }


def _lambda_full() -> list[dict[str, Any]]:
    """Return the statements of AWSLambda_FullAccess."""
    return [
        _allow(
            *("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
            *("cloudwatch:ListMetrics", "cloudwatch:GetMetricData"),
            *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
            *("kms:ListAliases", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole"),
            *("iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"),
            *("iam:ListRoles", "lambda:*", "logs:DescribeLogGroups"),
            *("states:DescribeStateMachine", "states:ListStateMachines"),
            *("tag:GetResources", "xray:GetTraceSummaries", "xray:BatchGetTraces"),
        ),
        {
            **_allow("iam:PassRole"),
            "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
        },
        _allow(
            *("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
            *("logs:StartLiveTail", "logs:StopLiveTail"),
            resource="arn:aws:logs:*:*:log-group:/aws/lambda/*",
        ),
    ]


def find_managed(arn: str) -> ManagedPolicy | None:
    """Return the policy of an ARN, whichever partition's, or None."""
    found = find_arn(arn)
    if found is None or found.partition not in PARTITIONS:
        return None
    return managed_policies(found.partition).get(arn)


@cache
def managed_policies(partition: str) -> Mapping[str, ManagedPolicy]:
    """Return the policies of a partition by ARN."""
    assert partition in PARTITIONS, "what is kept is bounded"
    found: dict[str, ManagedPolicy] = {}
    for number, (place, statements) in enumerate(_documents().items()):
        path, _, name = place.rpartition("/")
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        document = document.replace('"arn:aws:', f'"arn:{partition}:')
        unique_id = f"ANPAFOGBANKAWS{number:07d}"
        policy = ManagedPolicy(name, f"{path}/", unique_id, document, _CREATED_MS, partition)
        found[policy.arn] = policy
    return found
