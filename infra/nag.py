"""The findings of cdk-nag that stay, each with its reason beside the resource that it is about."""

from __future__ import annotations

from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Validations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

OBJECTS = "Payloads are named by tenant and job at run time, so the objects of this one bucket cannot be listed here."
SECRETS = "Secrets of webhooks are named at run time; the path is that of this stage's registry alone."
XRAY = "X-Ray has no resources to name: PutTraceSegments, PutTelemetryRecords and sampling accept '*' alone."
HISTORY = (
    "Step Functions keeps the whole history of each Standard execution for 90 days; a second copy in CloudWatch Logs "
    "would cost as much as the executions and would need a role over all log groups of the account."
)
UNTRACED = "Traces would cost as much as the jobs themselves: the stage's `tracing` in cdk.json turns them on."
CONSOLE = "A browser loads the console's static files before anyone has signed in; all data needs a token."
RUNTIME = "Python 3.13 is the version that the layer's wheels are built for and that the tests run against."


def acknowledge(resource: IConstruct, rule: str, reason: str) -> None:
    """Accept one finding on one resource.

    Args:
        resource: what the finding is about.
        rule: the rule's id with the finding in brackets where it has several, as in `AwsSolutions-IAM5[Resource::*]`.
        reason: why it is right here; shown in the validation report.
    """
    Validations.of(resource).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_objects(owner: Construct, bucket: s3.IBucket) -> None:
    """Accept that the role of `owner` reaches every object of the bucket."""
    logical_id = Stack.of(bucket).get_logical_id(cast("CfnElement", bucket.node.default_child))
    acknowledge(owner, f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>/*]", OBJECTS)


def acknowledge_secrets(owner: Construct, registry: dynamodb.ITable) -> None:
    """Accept that the role of `owner` reaches every secret of the stage's webhooks."""
    logical_id = Stack.of(registry).get_logical_id(cast("CfnElement", registry.node.default_child))
    arn = "arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter"
    acknowledge(owner, f"AwsSolutions-IAM5[Resource::{arn}/tidegate/<{logical_id}>/webhooks/*]", SECRETS)


def check(scope: Construct) -> None:
    """Run the AWS Solutions rules over an application when it is synthesised; an unexplained error stops it."""
    from cdk_nag import AwsSolutionsChecks

    Validations.of(scope).add_plugins(AwsSolutionsChecks(scope))
