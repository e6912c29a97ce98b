"""The worker of one pool: runs jobs with the user's handlers, fed by the pool's four queues."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import access, nag
from infra.functions import Common, FunctionSpec, python_function
from infra.packaging import handler_modules
from infra.pool import Pool
from infra.stores import Stores

BATCH = 10


class Worker(Construct):
    """The worker function with a mapping from each priority queue.

    Attributes:
        function: claims, runs and settles jobs.
        mappings: what feeds it, one for each queue.
    """

    def __init__(self, scope: Construct, *, common: Common, pool: Pool, stores: Stores, code: lambda_.Code) -> None:
        super().__init__(scope, f"Worker-{pool.config.name}")
        self.function = python_function(self, common, _spec(pool, stores, code))
        nag.acknowledge_objects(self, stores.bucket)
        nag.acknowledge_secrets(self, stores.tables.registry)
        self.mappings = [
            lambda_.EventSourceMapping(
                self,
                priority.title(),
                target=self.function,
                event_source_arn=queue.queue_arn,
                batch_size=BATCH,
                # Each queue may use all slots: which of them holds the work changes from minute to minute.
                max_concurrency=pool.config.slots,
                report_batch_item_failures=True,
            )
            for priority, queue in pool.queues.items()
        ]


def work_access(pool: Pool, stores: Stores) -> list[iam.PolicyStatement]:
    """What running the jobs of a pool takes."""
    jobs, registry = stores.tables.jobs, stores.tables.registry
    return [
        access.items(jobs, *access.READ, access.UPDATE),
        access.board(jobs),
        *access.registry(registry, *access.READ, access.PUT, access.UPDATE),
        *access.objects(stores.bucket),
        access.secrets(registry),
        access.consume(pool.queues.values()),
        # To every pool: a queue can move to another one while jobs of its lanes are running here.
        access.send(stores.ticket_queues()),
    ]


def _spec(pool: Pool, stores: Stores, code: lambda_.Code) -> FunctionSpec:
    config = pool.config
    return FunctionSpec(
        name="worker",
        suffix=config.name,
        purpose=f"runs the jobs of pool {config.name}",
        memory=config.memory,
        timeout=config.timeout,
        code=code,
        environment={
            "TIDEGATE_POOL": config.name,
            "TIDEGATE_HANDLERS": handler_modules(config),
            "TIDEGATE_MEMORY": str(config.memory),
        },
        access=work_access(pool, stores),
    )
