"""The change feed: every change of a job, in order, to one function."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import access, nag
from infra.functions import Common, FunctionSpec, python_function
from infra.queues import dead_letter_queue
from infra.stores import Stores

# Seconds: the longest run of the function, and how long a batch is gathered.
TIMEOUT = 60
BATCH = 500
WINDOW = 2
# A batch that fails is tried until it is this old. A stream keeps a day, so what is given up can still be read back for
# four hours, by the position that the queue of given-up batches is sent.
OLDEST = Duration.hours(20)
FOR_EVER = -1


class Changes(Construct):
    """The stream mapping, its function, and the queue of batches that were given up.

    Attributes:
        function: counts, keeps figures, and announces events, and submits the deliveries of webhooks.
        dead: positions of the stream whose records could not be handled.
    """

    def __init__(self, scope: Construct, name: str, *, common: Common, stores: Stores) -> None:
        super().__init__(scope, name)
        self.dead = dead_letter_queue(
            self, "Dead", queue_name=f"tidegate-{common.stage.name}-changes-dead", key=common.key
        )
        self.function = python_function(self, common, _spec(stores, self.dead))
        nag.acknowledge_objects(self, stores.bucket)
        # A failing batch is not bisected: it must come again as it was, for the counters know it by its records.
        # The construct of the CDK for this would widen the role by wildcard actions on the stage's key.
        lambda_.CfnEventSourceMapping(
            self,
            "Stream",
            function_name=self.function.function_name,
            event_source_arn=stores.tables.jobs.table_stream_arn,
            starting_position="TRIM_HORIZON",
            batch_size=BATCH,
            maximum_batching_window_in_seconds=WINDOW,
            maximum_retry_attempts=FOR_EVER,
            maximum_record_age_in_seconds=OLDEST.to_seconds(),
            function_response_types=["ReportBatchItemFailures"],
            destination_config={"onFailure": {"destination": self.dead.queue_arn}},
        )


def _spec(stores: Stores, dead: sqs.IQueue) -> FunctionSpec:
    return FunctionSpec(
        name="changes",
        purpose="turns changes of jobs into counters, figures, events and webhooks, and goes on with their runs",
        memory=512,
        timeout=TIMEOUT,
        environment=stores.supervision(),
        access=[
            access.stream(stores.tables.jobs),
            access.send([dead]),
            *access.registry(
                stores.tables.registry, *access.READ, access.PUT, access.UPDATE, access.DELETE, access.WRITE_MANY
            ),
            # The end of a job lets those behind it in its run go, and makes the jobs of a fan-out;
            # a webhook's delivery is a job as well.
            access.items(
                stores.tables.jobs, *access.READ, access.PUT, access.UPDATE, access.DELETE, access.INSERT_MANY
            ),
            *access.objects(stores.bucket),
            access.send(stores.ticket_queues()),
            *access.announce(stores.bus),
            *access.answer(stores.state_machine, stores.waiting_machines),
            # What a deleted job leaves behind: the pointer of its id, and its large values.
        ],
    )
