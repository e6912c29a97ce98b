"""What a function may do, as IAM statements with explicit actions on explicit resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

from infra.tables import BOARD

# Transactions have no action of their own: each of their parts needs the action of that part.
GET = "dynamodb:GetItem"
PUT = "dynamodb:PutItem"
UPDATE = "dynamodb:UpdateItem"
DELETE = "dynamodb:DeleteItem"
CHECK = "dynamodb:ConditionCheckItem"
GET_MANY = "dynamodb:BatchGetItem"
READ = (GET, GET_MANY, "dynamodb:Query")
# Many items in one request: with a condition each (PartiQL), and without.
INSERT_MANY = "dynamodb:PartiQLInsert"
WRITE_MANY = "dynamodb:BatchWriteItem"
WRITES = (PUT, UPDATE, DELETE, WRITE_MANY)
TRACE = (
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
)
# All items of a table, a slice at a time: for the walk over what has outlived its time.
SCAN = "dynamodb:Scan"


def items(table: dynamodb.ITable, *actions: str) -> iam.PolicyStatement:
    """Allow `actions` on the items of a table, without its indexes."""
    return iam.PolicyStatement(actions=list(actions), resources=[table.table_arn])


def registry(table: dynamodb.ITable, *actions: str, appends: bool = False) -> list[iam.PolicyStatement]:
    """Allow `actions` on the items of the registry, and none of them to change the audit log.

    `appends` tells that the function adds entries to it; entries that are there stay as they are in any case.
    """
    changing = [action for action in actions if action in WRITES and not (appends and action == PUT)]
    keys = ["*#audit"] if appends else ["*#audit", "*#audit-head"]
    kept = iam.PolicyStatement(
        effect=iam.Effect.DENY,
        actions=changing,
        resources=[table.table_arn],
        conditions={"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": keys}},
    )
    return [items(table, *actions), kept]


def board(jobs: dynamodb.ITable) -> iam.PolicyStatement:
    """Allow queries of the index that lists jobs by readiness and by state."""
    return iam.PolicyStatement(actions=["dynamodb:Query"], resources=[f"{jobs.table_arn}/index/{BOARD}"])


def stream(jobs: dynamodb.ITable) -> iam.PolicyStatement:
    """Allow an event source mapping to follow the changes of the jobs table."""
    actions = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
    return iam.PolicyStatement(
        actions=[f"dynamodb:{action}" for action in actions], resources=[str(jobs.table_stream_arn)]
    )


def secrets(registry: dynamodb.ITable) -> iam.PolicyStatement:
    """Allow the secrets of webhooks to be read, kept and forgotten; the registry names them."""
    return iam.PolicyStatement(
        actions=["ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameters"], resources=[secrets_arn(registry)]
    )


def secrets_arn(registry: dynamodb.ITable) -> str:
    """All parameters that keep secrets of the stage."""
    name = f"tidegate/{registry.table_name}/webhooks/*"
    return Stack.of(registry).format_arn(service="ssm", resource="parameter", resource_name=name)


def objects(bucket: s3.IBucket) -> list[iam.PolicyStatement]:
    """Allow payloads to be read, written and erased."""
    return [
        iam.PolicyStatement(
            actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], resources=[bucket.arn_for_objects("*")]
        ),
        # Without it S3 answers 403 instead of 404 for an object that is not there.
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn]),
    ]


def put_objects(bucket: s3.IBucket) -> iam.PolicyStatement:
    """Allow payloads to be written, and nothing else."""
    return iam.PolicyStatement(actions=["s3:PutObject"], resources=[bucket.arn_for_objects("*")])


def erase_objects(bucket: s3.IBucket) -> iam.PolicyStatement:
    """Allow payloads to be erased, and nothing else."""
    return iam.PolicyStatement(actions=["s3:DeleteObject"], resources=[bucket.arn_for_objects("*")])


def send(queues: Iterable[sqs.IQueue]) -> iam.PolicyStatement:
    """Allow messages to be sent to the queues."""
    return iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn for queue in queues])


def consume(queues: Iterable[sqs.IQueue]) -> iam.PolicyStatement:
    """Allow an event source mapping to feed a function from the queues, and the function to put tickets off."""
    actions = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"]
    return iam.PolicyStatement(
        actions=[f"sqs:{action}" for action in actions], resources=[queue.queue_arn for queue in queues]
    )


def measure(queues: Iterable[sqs.IQueue]) -> iam.PolicyStatement:
    """Allow the depth of the queues to be read, and nothing else."""
    return iam.PolicyStatement(actions=["sqs:GetQueueAttributes"], resources=[queue.queue_arn for queue in queues])


def switch(mappings: Iterable[lambda_.IEventSourceMapping]) -> list[iam.PolicyStatement]:
    """Allow event source mappings to be looked at, put to sleep and woken, if there are any."""
    actions = ["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"]
    arns = [mapping.event_source_mapping_arn for mapping in mappings]
    return [iam.PolicyStatement(actions=actions, resources=arns)] if arns else []


def supervise(state_machine: str) -> iam.PolicyStatement:
    """Allow supervisors of runs to be started."""
    return iam.PolicyStatement(actions=["states:StartExecution"], resources=[state_machine])


def answer(state_machine: str, waiting: Sequence[str]) -> list[iam.PolicyStatement]:
    """Allow supervisors to be told what they wait for, and the tasks of other machines that wait for jobs."""
    own = iam.PolicyStatement(actions=["states:SendTaskSuccess"], resources=[state_machine])
    actions = ["states:SendTaskSuccess", "states:SendTaskFailure"]
    return [own, *([iam.PolicyStatement(actions=actions, resources=list(waiting))] if waiting else [])]


def announce(bus: events.IEventBus | None) -> list[iam.PolicyStatement]:
    """Allow events to be put on the bus, if there is one."""
    return [iam.PolicyStatement(actions=["events:PutEvents"], resources=[bus.event_bus_arn])] if bus else []
