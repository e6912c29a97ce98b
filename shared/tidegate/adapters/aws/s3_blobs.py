"""Large payloads in an S3 bucket."""

from __future__ import annotations

from collections.abc import Sequence

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import NotFound

from .clients import Clients, code_of, request


class S3Blobs:
    """`Blobs` in one bucket, which encrypts them by default."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._clients = clients
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> None:
        """See `Blobs.put`."""
        request(self._clients.s3.put_object, Bucket=self._bucket, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """See `Blobs.get`."""
        try:
            answer = request(self._clients.s3.get_object, Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                raise NotFound("there is no such blob", key=key) from error
            raise
        content: bytes = request(answer["Body"].read)
        return content

    def delete(self, key: str) -> None:
        """See `Blobs.delete`."""
        request(self._clients.s3.delete_object, Bucket=self._bucket, Key=key)

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Sequence[str]:
        """See `Blobs.list`."""
        where = {"Bucket": self._bucket, "Prefix": prefix, "MaxKeys": limit}
        answer = request(self._clients.s3.list_objects_v2, **where, **({"StartAfter": after} if after else {}))
        return [found["Key"] for found in answer.get("Contents", [])]
