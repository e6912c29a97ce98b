"""What a deployed stack says of itself: its CloudFormation outputs."""

from __future__ import annotations

from collections.abc import Mapping

import boto3  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import NotFound, Unavailable


def stack_outputs(name: str) -> Mapping[str, str]:
    """The outputs of a stack by name, with the AWS credentials at hand. Raises NotFound or Unavailable."""
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise NotFound(f"there is no stack '{name}' in this account and region", stack=name) from error
        raise Unavailable(f"the stack cannot be read: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS is out of reach: {error}") from error
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
