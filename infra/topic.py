"""The topic that alarms are announced on."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.stage import StageConfig


def alarm_topic(scope: Construct, name: str, *, stage: StageConfig, key: kms.IKey | None) -> sns.Topic:
    """Make the topic, TLS only, and subscribe the stage's e-mail address to it."""
    topic = sns.Topic(
        scope,
        name,
        topic_name=f"tidegate-{stage.name}-alarms",
        display_name=f"Tidegate {stage.name}",
        # Without a key of the account there is none: CloudWatch cannot publish under the key that AWS manages.
        master_key=key,
        enforce_ssl=True,
    )
    # A policy of its own, as enforce_ssl makes one, replaces the default that lets CloudWatch in.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
        )
    )
    if stage.alarm_email:
        topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))
    return topic
