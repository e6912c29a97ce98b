"""The cloud home: every port on DynamoDB, SQS and S3."""
