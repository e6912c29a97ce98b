"""The bucket for payloads that are too large for a table."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra import nag
from infra.stage import StageConfig


def payload_bucket(scope: Construct, name: str, *, stage: StageConfig, key: kms.IKey | None) -> s3.Bucket:
    """Make the private, encrypted, TLS-only bucket; uploads that were never finished are swept after a day."""
    bucket = s3.Bucket(
        scope,
        name,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        # One data key for the bucket instead of a KMS request per object.
        bucket_key_enabled=True if key else None,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=False,
        lifecycle_rules=[s3.LifecycleRule(id="unfinished", abort_incomplete_multipart_upload_after=Duration.days(1))],
        removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
    )
    nag.acknowledge(
        bucket,
        "AwsSolutions-S1",
        "Only the functions of this stack reach the bucket, and each access belongs to a job whose history is kept; "
        "access logs would need a second bucket that itself has none. CloudTrail data events serve an audit.",
    )
    return bucket
