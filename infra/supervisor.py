"""The supervisor of runs: a state machine, the function behind its tasks, and the news when one is stopped by hand."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra import access, nag
from infra.encryption import USE_KEY
from infra.functions import Common, FunctionSpec, python_function
from infra.queues import dead_letter_queue
from infra.stores import Stores

DEFINITION = Path(__file__).with_name("dag.asl.json")
# Seconds: releasing ten thousand roots takes a fraction of it. Tasks of the state machine wait a little longer.
TIMEOUT = 300
WORTH = Duration.hours(6)


class Supervisor(Construct):
    """The state machine, its function, and the queue of news that could not be delivered.

    Attributes:
        function: does each task.
        machine: one execution for each life of a run.
        dead: news of stopped executions whose runs were not stopped.
    """

    def __init__(self, scope: Construct, name: str, *, common: Common, stores: Stores) -> None:
        super().__init__(scope, name)
        self.dead = dead_letter_queue(self, "Dead", queue_name=f"tidegate-{common.stage.name}-dag-dead", key=common.key)
        self.function = python_function(self, common, _spec(stores))
        nag.acknowledge_objects(self, stores.bucket)
        self.machine = self._machine(common, stores)
        events.Rule(
            self,
            "Stopped",
            rule_name=f"tidegate-{common.stage.name}-dag-stopped",
            description="Tidegate: who stops the supervisor of a run wants the run to stop",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"stateMachineArn": [stores.state_machine], "status": ["ABORTED"]},
            ),
            targets=[
                targets.LambdaFunction(
                    self.function, dead_letter_queue=self.dead, max_event_age=WORTH, retry_attempts=20
                )
            ],
        )

    def _machine(self, common: Common, stores: Stores) -> stepfunctions.CfnStateMachine:
        machine = stepfunctions.CfnStateMachine(
            self,
            "Machine",
            state_machine_name=stores.state_machine_name,
            state_machine_type="STANDARD",
            role_arn=self._role(common).role_arn,
            definition_string=DEFINITION.read_text(),
            definition_substitutions={"Function": self.function.function_arn},
            tracing_configuration=stepfunctions.CfnStateMachine.TracingConfigurationProperty(
                enabled=common.stage.tracing
            ),
            encryption_configuration=_encryption(common),
        )
        nag.acknowledge(machine, "AwsSolutions-SF1", nag.HISTORY)
        if not common.stage.tracing:
            nag.acknowledge(machine, "AwsSolutions-SF2", nag.UNTRACED)
        return machine

    def _role(self, common: Common) -> iam.Role:
        role = iam.Role(
            self,
            "MachineRole",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description=f"Tidegate {common.stage.name}: calls the tasks of the supervisor",
        )
        role.add_to_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[self.function.function_arn])
        )
        if common.stage.tracing:
            role.add_to_policy(iam.PolicyStatement(actions=list(access.TRACE), resources=["*"]))
            nag.acknowledge(role, "AwsSolutions-IAM5[Resource::*]", nag.XRAY)
        if common.key:
            role.add_to_policy(iam.PolicyStatement(actions=list(USE_KEY), resources=[common.key.key_arn]))
        return role


def _encryption(common: Common) -> stepfunctions.CfnStateMachine.EncryptionConfigurationProperty | None:
    if common.key is None:
        return None
    return stepfunctions.CfnStateMachine.EncryptionConfigurationProperty(
        type="CUSTOMER_MANAGED_KMS_KEY", kms_key_id=common.key.key_arn, kms_data_key_reuse_period_seconds=300
    )


def _spec(stores: Stores) -> FunctionSpec:
    jobs, registry = stores.tables.jobs, stores.tables.registry
    return FunctionSpec(
        name="dag",
        purpose="does the tasks of the supervisor of each run",
        memory=1024,
        timeout=TIMEOUT,
        environment=stores.supervision(),
        access=[
            access.items(jobs, *access.READ, access.PUT, access.UPDATE, access.INSERT_MANY),
            *access.registry(registry, *access.READ, access.PUT, access.DELETE),
            *access.objects(stores.bucket),
            access.send(stores.ticket_queues()),
            *access.announce(stores.bus),
            *access.answer(stores.state_machine, stores.waiting_machines),
        ],
    )
