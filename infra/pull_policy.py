"""A policy to be attached to whatever runs `tidegate worker --stack`: an instance profile, a task role, a user."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra import nag
from infra.encryption import USE_KEY
from infra.pool import Pool
from infra.stage import StageConfig
from infra.stores import Stores
from infra.worker import work_access


class PullPolicy(Construct):
    """The managed policy `tidegate-STAGE-pull-POOL`: what the pool's Lambda may do, and reading the stack's outputs.

    Attributes:
        policy: the policy; nobody has it until it is attached.
    """

    def __init__(
        self, scope: Construct, *, stage: StageConfig, pool: Pool, stores: Stores, key: kms.IKey | None
    ) -> None:
        super().__init__(scope, f"Pull-{pool.config.name}")
        statements = [*work_access(pool, stores), _outputs(self)]
        if key:
            statements.append(iam.PolicyStatement(actions=list(USE_KEY), resources=[key.key_arn]))
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=f"tidegate-{stage.name}-pull-{pool.config.name}",
            description=f"Tidegate {stage.name}: run the jobs of pool {pool.config.name} on machines that pull them",
            statements=statements,
        )
        nag.acknowledge_objects(self, stores.bucket)
        nag.acknowledge_secrets(self, stores.tables.registry)


def _outputs(scope: Construct) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=[Stack.of(scope).stack_id])
