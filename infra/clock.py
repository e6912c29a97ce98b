"""The clock: one rule that calls one function each minute."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import access, nag
from infra.functions import Common, FunctionSpec, python_function
from infra.queues import dead_letter_queue
from infra.stores import Stores

PERIOD = Duration.minutes(1)
# Under a minute, so that a slow tick ends before the next begins.
TIMEOUT = 55
# The next tick does all that this one missed, so a late tick is worth nothing.
WORTH = Duration.minutes(1)


class Clock(Construct):
    """The minute rule, its function, and the queue of ticks that could not be delivered.

    Attributes:
        function: what each tick calls.
        dead: evidence of ticks that did not run; nothing has to be done with its messages.
    """

    def __init__(self, scope: Construct, name: str, *, common: Common, stores: Stores) -> None:
        super().__init__(scope, name)
        self.dead = dead_letter_queue(
            self, "Dead", queue_name=f"tidegate-{common.stage.name}-clock-dead", key=common.key
        )
        self.function = python_function(self, common, _spec(stores, self.dead))
        nag.acknowledge_objects(self, stores.bucket)
        # The construct of the CDK for this would widen the role by wildcard actions on the stage's key.
        lambda_.CfnEventInvokeConfig(
            self,
            "Asynchronous",
            function_name=self.function.function_name,
            qualifier="$LATEST",
            maximum_event_age_in_seconds=WORTH.to_seconds(),
            maximum_retry_attempts=0,
            destination_config={"onFailure": {"destination": self.dead.queue_arn}},
        )
        events.Rule(
            self,
            "Rule",
            rule_name=f"tidegate-{common.stage.name}-clock",
            description="Tidegate: due jobs and schedules, lapsed leases, lost tickets",
            schedule=events.Schedule.rate(PERIOD),
            targets=[
                targets.LambdaFunction(
                    self.function, dead_letter_queue=self.dead, max_event_age=WORTH, retry_attempts=2
                )
            ],
        )


def _spec(stores: Stores, dead: sqs.IQueue) -> FunctionSpec:
    jobs, registry = stores.tables.jobs, stores.tables.registry
    return FunctionSpec(
        name="clock",
        purpose="each minute: schedules, due jobs, lapsed leases, lost tickets",
        memory=1024,
        timeout=TIMEOUT,
        environment=stores.supervision(),
        access=[
            access.items(jobs, *access.READ, access.PUT, access.UPDATE, access.DELETE, access.INSERT_MANY, access.SCAN),
            access.board(jobs),
            *access.registry(registry, *access.READ, access.PUT, access.UPDATE, access.DELETE, access.WRITE_MANY),
            *access.objects(stores.bucket),
            access.send(stores.ticket_queues()),
            access.send([dead]),
            access.measure([*stores.ticket_queues(), *stores.dead_queues()]),
            *access.announce(stores.bus),
            access.supervise(stores.state_machine),
            *access.answer(stores.state_machine, stores.waiting_machines),
        ],
    )
