"""The queues of one pool: four by priority, and one for dead letters."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.queues import dead_letter_queue, visibility, work_queue
from infra.stage import PoolConfig, StageConfig

PRIORITIES = ("critical", "high", "normal", "low")
DEAD = "dead"
# High, because throttling of the worker raises receive counts too: a ticket must not die before its job has run.
MAX_RECEIVES = 25
# Of the function that reads dead letters, in seconds.
DEAD_LETTERS_TIMEOUT = 60


class Pool(Construct):
    """The queues of a pool.

    Attributes:
        config: the pool's settings.
        queues: priority → queue, highest first.
        dead: where tickets go that were received too often.
    """

    def __init__(self, scope: Construct, *, stage: StageConfig, config: PoolConfig, key: kms.IKey | None) -> None:
        super().__init__(scope, f"Pool-{config.name}")
        self.config = config
        prefix = f"tidegate-{stage.name}-{config.name}"
        self.dead = dead_letter_queue(
            self, "Dead", queue_name=f"{prefix}-{DEAD}", key=key, hidden=visibility(DEAD_LETTERS_TIMEOUT)
        )
        redrive = sqs.DeadLetterQueue(queue=self.dead, max_receive_count=MAX_RECEIVES)
        self.queues: Mapping[str, sqs.Queue] = {
            priority: work_queue(
                self,
                priority.title(),
                queue_name=f"{prefix}-{priority}",
                key=key,
                hidden=visibility(config.timeout),
                dead=redrive,
            )
            for priority in PRIORITIES
        }

    @property
    def urls(self) -> Mapping[str, str]:
        """The URL of each queue by its name, the dead-letter queue included."""
        named = {**self.queues, DEAD: self.dead}
        return {name: queue.queue_url for name, queue in named.items()}
