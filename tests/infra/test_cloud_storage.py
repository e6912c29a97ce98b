"""Tables, bucket and key of the template."""

from __future__ import annotations

from synthesised import Synthesised

TABLE = "AWS::DynamoDB::Table"
BUCKET = "AWS::S3::Bucket"


def test_tables_are_on_demand_recoverable_and_forget_by_ttl(template: Synthesised) -> None:
    tables = template.of_type(TABLE)
    assert set(tables) == {"TablesJobs", "TablesRegistry"}
    for table in tables.values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]


def test_the_jobs_table_streams_both_images_and_has_the_board(template: Synthesised) -> None:
    jobs = template.of_type(TABLE)["TablesJobs"]
    assert jobs["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (board,) = jobs["GlobalSecondaryIndexes"]
    assert board["IndexName"] == "board"
    assert [key["AttributeName"] for key in board["KeySchema"]] == ["board", "board_at"]
    assert board["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["id"]}
    assert {item["AttributeType"] for item in jobs["AttributeDefinitions"]} == {"S"}


def test_the_registry_has_neither_stream_nor_index(template: Synthesised) -> None:
    registry = template.of_type(TABLE)["TablesRegistry"]
    assert not {"StreamSpecification", "GlobalSecondaryIndexes"} & set(registry)


def test_a_key_of_the_stage_encrypts_everything_that_is_stored(sealed: Synthesised) -> None:
    assert sealed.of_type("AWS::KMS::Key")["Key"]["EnableKeyRotation"] is True
    for table in sealed.of_type(TABLE).values():
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "<Key.Arn>"}
    for group in sealed.of_type("AWS::Logs::LogGroup").values():
        assert group["KmsKeyId"] == "<Key.Arn>"
    (bucket,) = sealed.of_type(BUCKET).values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "<Key.Arn>"}
    (topic,) = sealed.of_type("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == "<Key.Arn>"


def test_without_a_key_of_the_stage_there_is_none(template: Synthesised) -> None:
    assert template.of_type("AWS::KMS::Key") == {}
    for table in template.of_type(TABLE).values():
        assert "SSESpecification" not in table
    (bucket,) = template.of_type(BUCKET).values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_the_key_serves_the_services_that_write_without_a_role(sealed: Synthesised) -> None:
    statements = sealed.of_type("AWS::KMS::Key")["Key"]["KeyPolicy"]["Statement"]
    services = {statement["Principal"].get("Service") for statement in statements}
    assert services - {None} == {"events.amazonaws.com", "cloudwatch.amazonaws.com", "logs.<AWS::Region>.amazonaws.com"}
    for statement in statements:
        if "Service" in statement["Principal"]:
            assert statement["Condition"]


def test_the_bucket_is_private_tls_only_and_sweeps_unfinished_uploads(template: Synthesised) -> None:
    (bucket,) = template.of_type(BUCKET).values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "VersioningConfiguration" not in bucket
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (policy,) = template.of_type("AWS::S3::BucketPolicy").values()
    conditions = [
        statement["Condition"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Action"] == "s3:*"
    ]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions


def test_data_outlives_the_stack_where_the_stage_says_so(template: Synthesised, sealed: Synthesised) -> None:
    for stage, policy in ((template, "Delete"), (sealed, "Retain")):
        kept = [r for r in stage.resources.values() if r["Type"] in (TABLE, BUCKET, "AWS::KMS::Key")]
        assert {resource["DeletionPolicy"] for resource in kept} == {policy}
    assert {table["DeletionProtectionEnabled"] for table in sealed.of_type(TABLE).values()} == {True}
