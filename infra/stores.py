"""Where a function finds what it works on: the tables, the bucket and the queues, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

from infra.pool import Pool
from infra.tables import Tables


@dataclass(frozen=True)
class Stores:
    """What the functions share.

    Attributes:
        tables: jobs and registry.
        bucket: large payloads.
        pools: the queues of every pool.
        bus: where transitions are announced, if the stage has events.
        stage: whose they are.
        waiting_machines: state machines of others whose tasks wait for jobs and runs.
    """

    tables: Tables
    bucket: s3.IBucket
    pools: Sequence[Pool]
    bus: events.IEventBus | None = None
    stage: str = ""
    waiting_machines: Sequence[str] = ()

    @property
    def state_machine_name(self) -> str:
        """The name of the state machine that supervises runs."""
        return f"tidegate-{self.stage}-dag"

    @property
    def state_machine(self) -> str:
        """Its ARN, made from its name: the function behind its tasks must know it before it is there."""
        return Stack.of(self.tables).format_arn(
            service="states",
            resource="stateMachine",
            resource_name=self.state_machine_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def supervision(self) -> Mapping[str, str]:
        """The variable that names it."""
        return {"TIDEGATE_STATE_MACHINE": self.state_machine}

    def environment(self) -> Mapping[str, str]:
        """The variables that name all of it."""
        return {
            "TIDEGATE_JOBS_TABLE": self.tables.jobs.table_name,
            "TIDEGATE_REGISTRY_TABLE": self.tables.registry.table_name,
            "TIDEGATE_BUCKET": self.bucket.bucket_name,
            "TIDEGATE_POOLS": self.pools_json(),
            **({"TIDEGATE_EVENT_BUS": self.bus.event_bus_name} if self.bus else {}),
        }

    def pools_json(self) -> str:
        """Pool name → queue name → URL, as JSON."""
        return Stack.of(self.tables).to_json_string({pool.config.name: pool.urls for pool in self.pools})

    def ticket_queues(self) -> Iterable[sqs.IQueue]:
        """The priority queues of every pool."""
        return [queue for pool in self.pools for queue in pool.queues.values()]

    def dead_queues(self) -> Iterable[sqs.IQueue]:
        """The dead-letter queue of every pool."""
        return [pool.dead for pool in self.pools]
