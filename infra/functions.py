"""The one way to make a Lambda: one folder of `functions/`, one role, one log group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import nag
from infra.encryption import USE_KEY
from infra.stage import StageConfig

SERVICE = "tidegate"


@dataclass(frozen=True)
class Common:
    """What all functions of a stage share.

    Attributes:
        stage: whose functions these are.
        key: the stage's KMS key, if it has one.
        layer: the dependencies.
        code: the program.
        environment: the variables that every function gets.
    """

    stage: StageConfig
    key: kms.IKey | None
    layer: lambda_.ILayerVersion
    code: lambda_.Code
    environment: Mapping[str, str]


@dataclass(frozen=True)
class FunctionSpec:
    """One function.

    Attributes:
        name: its folder in `functions/`.
        purpose: one line for the console.
        memory: in MB; it also buys processor time.
        timeout: in seconds.
        access: what its role allows beside logs and traces.
        environment: its variables beside the common ones.
        suffix: tells functions made of the same folder apart.
        code: the asset, where it is not the common one.
        layers: what it needs beside the common layer.
    """

    name: str
    purpose: str
    memory: int
    timeout: int
    access: Iterable[iam.PolicyStatement]
    environment: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""
    code: lambda_.Code | None = None
    layers: Sequence[lambda_.ILayerVersion] = ()

    def full_name(self, stage: StageConfig) -> str:
        """The function's name in the account."""
        return f"{SERVICE}-{stage.name}-{self.name}" + (f"-{self.suffix}" if self.suffix else "")


def python_function(scope: Construct, common: Common, spec: FunctionSpec) -> lambda_.Function:
    """Make the function with a role and a log group of its own."""
    name = spec.full_name(common.stage)
    log_group = log_group_for(scope, "Logs", f"/aws/lambda/{name}", common.stage, common.key)
    role = _role(scope, common, spec, log_group)
    function = lambda_.Function(
        scope,
        "Function",
        function_name=name,
        description=spec.purpose,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        handler=f"tidegate_functions.{spec.name}.handler.handler",
        code=spec.code or common.code,
        layers=[common.layer, *spec.layers],
        memory_size=spec.memory,
        timeout=Duration.seconds(spec.timeout),
        environment={**common.environment, **spec.environment},
        role=role,
        log_group=log_group,
        # As JSON, what the program adds to a line (`extra`) can be searched for. What Lambda itself says of each
        # invocation would cost more than all that the program says, and is in the function's metrics too.
        logging_format=lambda_.LoggingFormat.JSON,
        application_log_level_v2=_APPLICATION_LEVEL[common.stage.log_level],
        system_log_level_v2=lambda_.SystemLogLevel.WARN,
        tracing=lambda_.Tracing.ACTIVE if common.stage.tracing else lambda_.Tracing.DISABLED,
    )
    nag.acknowledge(function, "AwsSolutions-L1", nag.RUNTIME)
    return function


def dependencies(scope: Construct, name: str, code: lambda_.Code, description: str) -> lambda_.LayerVersion:
    """Make a layer for the functions of this stack."""
    return lambda_.LayerVersion(
        scope,
        name,
        code=code,
        description=description,
        compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
        compatible_architectures=[lambda_.Architecture.ARM_64],
    )


def log_group_for(
    scope: Construct, name: str, log_group_name: str, stage: StageConfig, key: kms.IKey | None
) -> logs.LogGroup:
    """Make a log group that forgets after the stage's retention."""
    return logs.LogGroup(
        scope,
        name,
        log_group_name=log_group_name,
        # The days of RETENTION_DAYS are the values of this enumeration.
        retention=_RETENTION[stage.log_retention_days],
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )


def _role(scope: Construct, common: Common, spec: FunctionSpec, log_group: logs.ILogGroup) -> iam.Role:
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        description=f"Tidegate {common.stage.name}: {spec.purpose}",
    )
    write_logs = iam.PolicyStatement(
        actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group.log_group_arn]
    )
    for statement in (write_logs, *spec.access):
        role.add_to_policy(statement)
    if common.key:
        role.add_to_policy(iam.PolicyStatement(actions=list(USE_KEY), resources=[common.key.key_arn]))
    if common.stage.tracing:
        nag.acknowledge(role, "AwsSolutions-IAM5[Resource::*]", nag.XRAY)
    return role


_APPLICATION_LEVEL: Mapping[str, lambda_.ApplicationLogLevel] = {
    "DEBUG": lambda_.ApplicationLogLevel.DEBUG,
    "INFO": lambda_.ApplicationLogLevel.INFO,
    "WARNING": lambda_.ApplicationLogLevel.WARN,
    "ERROR": lambda_.ApplicationLogLevel.ERROR,
    "CRITICAL": lambda_.ApplicationLogLevel.FATAL,
}
_RETENTION: Mapping[int, logs.RetentionDays] = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
