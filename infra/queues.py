"""Queues as this stack makes them: encrypted, TLS only, kept for as long as SQS keeps anything."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import nag

KEEP = Duration.days(14)
# AWS advises six times the function's timeout for a queue that feeds a Lambda: throttled batches are tried again
# within that time. Lambda's longest timeout, 900 s, makes 1.5 h, well within the 12 h that SQS allows.
VISIBILITY_TIMEOUTS = 6


def visibility(function_timeout: int) -> Duration:
    """How long a message stays hidden while a function with this timeout (in seconds) works on it."""
    return Duration.seconds(VISIBILITY_TIMEOUTS * function_timeout)


def work_queue(
    scope: Construct, name: str, *, queue_name: str, key: kms.IKey | None, hidden: Duration, dead: sqs.DeadLetterQueue
) -> sqs.Queue:
    """Make a queue that feeds a function.

    Args:
        scope: the construct that owns it.
        name: its id within the scope.
        queue_name: its name in the account.
        key: the stage's KMS key, if it has one.
        hidden: the visibility timeout.
        dead: where messages go that were received too often.
    """
    return _queue(scope, name, queue_name, key, hidden, dead)


def dead_letter_queue(
    scope: Construct, name: str, *, queue_name: str, key: kms.IKey | None, hidden: Duration | None = None
) -> sqs.Queue:
    """Make a queue for what could not be handled elsewhere; `hidden` is for one that feeds a function itself."""
    queue = _queue(scope, name, queue_name, key, hidden, None)
    nag.acknowledge(queue, "AwsSolutions-SQS3", "This queue is the last stop: an alarm tells when it holds anything.")
    return queue


def _queue(
    scope: Construct,
    name: str,
    queue_name: str,
    key: kms.IKey | None,
    hidden: Duration | None,
    dead: sqs.DeadLetterQueue | None,
) -> sqs.Queue:
    return sqs.Queue(
        scope,
        name,
        queue_name=queue_name,
        retention_period=KEEP,
        visibility_timeout=hidden,
        encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key,
        enforce_ssl=True,
        dead_letter_queue=dead,
        removal_policy=RemovalPolicy.DESTROY,
    )
