"""The two DynamoDB tables: jobs, which hold the truth, and the registry of everything that changes slowly."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.stage import StageConfig

BOARD = "board"


class Tables(Construct):
    """`jobs` with its sparse index `board` and its stream, and `registry`.

    Attributes:
        jobs: jobs and what belongs to one; streams both images of each change.
        registry: queues, lanes, tokens, workers, figures.
    """

    def __init__(self, scope: Construct, name: str, *, stage: StageConfig, key: kms.IKey | None) -> None:
        super().__init__(scope, name)
        self.jobs = self._table("Jobs", stage, key, dynamodb.StreamViewType.NEW_AND_OLD_IMAGES)
        self.jobs.add_global_secondary_index(
            index_name=BOARD,
            partition_key=_text("board"),
            sort_key=_text("board_at"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["id"],
        )
        self.registry = self._table("Registry", stage, key, None)

    def _table(
        self, name: str, stage: StageConfig, key: kms.IKey | None, stream: dynamodb.StreamViewType | None
    ) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            name,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            # Without a key of the account, DynamoDB encrypts with one of its own, at no cost.
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else None,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="ttl",
            stream=stream,
            deletion_protection=stage.keep_data,
            removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
