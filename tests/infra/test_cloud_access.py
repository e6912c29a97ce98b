"""Least privilege: what each role may do, compared with a table, so that a wider permission has to be written here."""

from __future__ import annotations

import re

import pytest
from synthesised import ROOT, WAITING, Synthesised, listed

Permission = tuple[tuple[str, ...], tuple[str, ...]]

BATCH_GET = "dynamodb:BatchGetItem"
READ = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
GET, PUT, UPDATE, DELETE = (f"dynamodb:{name}Item" for name in ("Get", "Put", "Update", "Delete"))
CHECK = "dynamodb:ConditionCheckItem"
INSERT_MANY, WRITE_MANY = "dynamodb:PartiQLInsert", "dynamodb:BatchWriteItem"
GET_MANY, SCAN = "dynamodb:BatchGetItem", "dynamodb:Scan"
OBJECTS = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
CONSUME = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
SEND = ("sqs:SendMessage",)
MEASURE = ("sqs:GetQueueAttributes",)
STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
TRACE = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
USE_KEY = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

JOBS, REGISTRY, BOARD = "<TablesJobs.Arn>", "<TablesRegistry.Arn>", "<TablesJobs.Arn>/index/board"
DEAD = ("<PooldefaultDead.Arn>", "<PoolslowDead.Arn>")


def tickets(*pools: str) -> tuple[str, ...]:
    return tuple(f"<Pool{pool}{name}.Arn>" for pool in pools for name in ("Critical", "High", "Normal", "Low"))


ALL_TICKETS = tickets("default", "slow")
SWITCH = ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
MAPPINGS = tuple(
    f"arn:<AWS::Partition>:lambda:<AWS::Region>:<AWS::AccountId>:event-source-mapping:<{name}>"
    for pool in ("default", "slow")
    for name in (
        *(f"Worker{pool}{priority}" for priority in ("Critical", "High", "Normal", "Low")),
        f"DeadLettersPool{pool}",
    )
)
BLOBS: list[Permission] = [(OBJECTS, ("<Payloads.Arn>/*",)), (("s3:ListBucket",), ("<Payloads.Arn>",))]
MACHINE = ("arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:stateMachine:tidegate-dev-dag",)
ANNOUNCE: Permission = (("events:PutEvents",), ("<Events.Arn>",))
SUPERVISE: Permission = (("states:StartExecution",), MACHINE)
ANSWER: list[Permission] = [
    (("states:SendTaskSuccess",), MACHINE),
    (("states:SendTaskFailure", "states:SendTaskSuccess"), (WAITING,)),
]
SECRETS: Permission = (
    ("ssm:DeleteParameters", "ssm:GetParameter", "ssm:PutParameter"),
    ("arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter/tidegate/<TablesRegistry>/webhooks/*",),
)
INDEX: Permission = (("dynamodb:Query",), (BOARD,))


def worker(pool: str) -> list[Permission]:
    return [
        ((*READ, UPDATE), (JOBS,)),
        INDEX,
        ((*READ, PUT, UPDATE), (REGISTRY,)),
        *BLOBS,
        SECRETS,
        (CONSUME, tickets(pool)),
        (SEND, ALL_TICKETS),
    ]


ALLOWED: dict[str, list[Permission]] = {
    "api": [
        ((*READ, PUT, UPDATE, DELETE, CHECK, INSERT_MANY), (JOBS,)),
        INDEX,
        ((*READ, PUT, UPDATE, DELETE, WRITE_MANY), (REGISTRY,)),
        *BLOBS,
        SECRETS,
        (SEND, ALL_TICKETS),
        (MEASURE, (*ALL_TICKETS, *DEAD)),
        (SWITCH, MAPPINGS),
        ANNOUNCE,
        SUPERVISE,
        *ANSWER,
    ],
    "authorizer": [((GET, UPDATE), (REGISTRY,))],
    "worker-default": worker("default"),
    "worker-slow": worker("slow"),
    "clock": [
        ((*READ, PUT, UPDATE, DELETE, INSERT_MANY, SCAN), (JOBS,)),
        INDEX,
        ((*READ, PUT, UPDATE, DELETE, WRITE_MANY), (REGISTRY,)),
        *BLOBS,
        (SEND, ALL_TICKETS),
        (SEND, ("<ClockDead.Arn>",)),
        (MEASURE, (*ALL_TICKETS, *DEAD)),
        (SWITCH, MAPPINGS),
        ANNOUNCE,
        SUPERVISE,
        *ANSWER,
    ],
    "dag": [
        ((*READ, PUT, UPDATE, INSERT_MANY), (JOBS,)),
        ((*READ, PUT, DELETE), (REGISTRY,)),
        *BLOBS,
        (SEND, ALL_TICKETS),
        ANNOUNCE,
        *ANSWER,
    ],
    "changes": [
        (STREAM, ("<TablesJobs.StreamArn>",)),
        (SEND, ("<ChangesDead.Arn>",)),
        ((*READ, PUT, UPDATE, DELETE, WRITE_MANY), (REGISTRY,)),
        ((*READ, PUT, UPDATE, DELETE, INSERT_MANY), (JOBS,)),
        *BLOBS,
        (SEND, ALL_TICKETS),
        ANNOUNCE,
        *ANSWER,
    ],
    "dead_letters": [
        ((GET,), (JOBS,)),
        (("s3:PutObject",), ("<Payloads.Arn>/*",)),
        (CONSUME, DEAD),
        (SEND, ALL_TICKETS),
    ],
}


def permissions(template: Synthesised, function: str) -> set[Permission]:
    return {
        (tuple(sorted(listed(statement["Action"]))), tuple(sorted(listed(statement["Resource"]))))
        for statement in template.statements(function)
        if statement["Effect"] == "Allow"
    }


def expected(template: Synthesised, function: str) -> set[Permission]:
    logs = f"<{template.function_id(function).removesuffix('Function')}Logs.Arn>"
    own = [*ALLOWED[function], (LOGS, (logs,)), (TRACE, ("*",))]
    return {(tuple(sorted(actions)), tuple(sorted(resources))) for actions, resources in own}


@pytest.mark.parametrize("function", ALLOWED)
def test_each_role_may_do_what_the_table_says_and_nothing_else(template: Synthesised, function: str) -> None:
    assert permissions(template, function) == expected(template, function)


@pytest.mark.parametrize("function", ALLOWED)
def test_no_role_may_change_the_audit_log_and_only_the_api_may_append_to_it(
    template: Synthesised, function: str
) -> None:
    allowed = {action for actions, resources in ALLOWED[function] if REGISTRY in resources for action in actions}
    writes = allowed & {PUT, UPDATE, DELETE, WRITE_MANY}
    denied = [statement for statement in template.statements(function) if statement["Effect"] == "Deny"]
    assert len(denied) == bool(writes)
    for statement in denied:
        keys = ["*#audit"] if function == "api" else ["*#audit", "*#audit-head"]
        assert statement["Condition"] == {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": keys}}
        assert set(listed(statement["Action"])) == (writes - {PUT} if function == "api" else writes)
        assert listed(statement["Resource"]) == [REGISTRY]


@pytest.mark.parametrize("function", ALLOWED)
def test_a_key_of_the_stage_adds_the_use_of_that_key_alone(sealed: Synthesised, function: str) -> None:
    assert permissions(sealed, function) - expected(sealed, function) == {(USE_KEY, ("<Key.Arn>",))}


def test_the_roles_together_may_do_what_the_adapters_ask_of_aws(template: Synthesised) -> None:
    """An adapter that asks for more fails here first, and a permission that none needs any more does too."""
    source = "".join(path.read_text() for path in (ROOT / "shared/tidegate/adapters/aws").glob("*.py"))
    asked = {f"{SERVICES.get(of, of)}:{ACTIONS.get(name) or camel(name)}" for of, name in REQUEST.findall(source)}
    asked -= {"dynamodb:TransactWriteItems"}
    asked |= {CHECK} if '"ConditionCheck"' in source else set()
    granted = {action for function in ALLOWED for actions, _ in permissions(template, function) for action in actions}
    platform = {*LOGS, *TRACE, *STREAM}
    assert asked == granted - platform


REQUEST = re.compile(r"clients\.(dynamodb|events|lambda|s3|sqs|ssm|stepfunctions)_?\.([a-z_0-9]+)")
SERVICES = {"stepfunctions": "states"}
ACTIONS = {
    "list_objects_v2": "ListBucket",
    "batch_execute_statement": "PartiQLInsert",
    "send_message_batch": "SendMessage",
    "delete_message_batch": "DeleteMessage",
}


def camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def test_the_table_covers_every_function(template: Synthesised) -> None:
    assert set(template.functions()) == set(ALLOWED)


def test_no_action_is_a_pattern_and_no_resource_but_objects_secrets_and_traces(template: Synthesised) -> None:
    for function in ALLOWED:
        for actions, resources in permissions(template, function):
            assert not any("*" in action for action in actions)
            patterns = {resource for resource in resources if "*" in resource}
            assert patterns <= {"<Payloads.Arn>/*", *SECRETS[1]} or (actions == TRACE and patterns == {"*"})


def test_each_function_has_a_role_of_its_own_with_no_managed_policy(template: Synthesised) -> None:
    roles = template.of_type("AWS::IAM::Role")
    machine = roles.pop("SupervisorMachineRole")
    assert machine["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "states.amazonaws.com"}
    assert len(roles) == len(ALLOWED)
    assert len({function["Role"] for function in template.functions().values()}) == len(ALLOWED)
    for role in roles.values():
        assert "ManagedPolicyArns" not in role
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_functions_are_invoked_by_named_sources_alone(template: Synthesised) -> None:
    permitted = template.of_type("AWS::Lambda::Permission").values()
    assert {permission["Principal"] for permission in permitted} == {"apigateway.amazonaws.com", "events.amazonaws.com"}
    for permission in permitted:
        assert permission["SourceArn"]


def test_resource_policies_let_nobody_in_but_named_services(template: Synthesised) -> None:
    kinds = ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")
    statements = [
        statement
        for kind in kinds
        for policy in template.of_type(kind).values()
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    allowed = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert {statement["Principal"].get("Service") for statement in allowed} == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
    }
    assert all(statement["Condition"] for statement in allowed)
