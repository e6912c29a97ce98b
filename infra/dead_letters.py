"""Dead letters: tickets that were received too often, from every pool, to one function."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import access, nag
from infra.functions import Common, FunctionSpec, python_function
from infra.pool import DEAD_LETTERS_TIMEOUT
from infra.stores import Stores

BATCH = 10
# The least that SQS mappings accept: dead letters are rare and never urgent.
CONCURRENCY = 2


class DeadLetters(Construct):
    """The function and its mapping from each pool's dead-letter queue.

    Attributes:
        function: sends a ticket again where its job still waits, and keeps what it cannot read.
        mappings: what feeds it, one for each pool.
    """

    def __init__(self, scope: Construct, name: str, *, common: Common, stores: Stores) -> None:
        super().__init__(scope, name)
        self.function = python_function(self, common, _spec(stores))
        nag.acknowledge_objects(self, stores.bucket)
        self.mappings = [
            lambda_.EventSourceMapping(
                self,
                f"Pool-{pool.config.name}",
                target=self.function,
                event_source_arn=pool.dead.queue_arn,
                batch_size=BATCH,
                max_concurrency=CONCURRENCY,
                report_batch_item_failures=True,
            )
            for pool in stores.pools
        ]


def _spec(stores: Stores) -> FunctionSpec:
    return FunctionSpec(
        name="dead_letters",
        purpose="gives dead tickets back to jobs that still wait",
        memory=512,
        timeout=DEAD_LETTERS_TIMEOUT,
        access=[
            access.items(stores.tables.jobs, access.GET),
            access.put_objects(stores.bucket),
            access.consume(stores.dead_queues()),
            access.send(stores.ticket_queues()),
        ],
    )
