"""The stage's own KMS key, where it asks for one."""

from __future__ import annotations

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.stage import StageConfig

# What encrypted tables, queues and objects ask of the key for their readers and writers, without a wildcard.
USE_KEY = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
# Services that write to encrypted resources of the stack without a role of ours.
SERVICES = ("events.amazonaws.com", "cloudwatch.amazonaws.com")


def customer_key(scope: Construct, stage: StageConfig) -> kms.Key | None:
    """Make the key that encrypts tables, queues, bucket, alarms and logs; None where AWS-owned keys serve."""
    if not stage.customer_key:
        return None
    key = kms.Key(
        scope,
        "Key",
        alias=f"alias/tidegate-{stage.name}",
        description=f"Tidegate {stage.name}: tables, queues, payloads, alarms and logs",
        enable_key_rotation=True,
        pending_window=Duration.days(30),
        removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
    )
    for service in SERVICES:
        key.add_to_resource_policy(_use_by(service))
    if stage.events:
        key.add_to_resource_policy(_seen_by_events())
    key.add_to_resource_policy(_use_by_logs())
    return key


def _use_by(service: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal(service)],
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=["*"],  # In a key policy this means the key itself.
        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
    )


def _seen_by_events() -> iam.PolicyStatement:
    """EventBridge looks at the key once, when a bus is given it."""
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal("events.amazonaws.com")],
        actions=["kms:DescribeKey"],
        resources=["*"],
        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
    )


def _use_by_logs() -> iam.PolicyStatement:
    groups = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:*"
    return iam.PolicyStatement(
        principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
        actions=list(USE_KEY),
        resources=["*"],
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    )
