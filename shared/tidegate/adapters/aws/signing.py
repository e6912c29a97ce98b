"""Requests to a deployed API, signed with AWS credentials (Signature Version 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

from tidegate.domain.errors import Unavailable

_SERVICE = "execute-api"
_HOST = re.compile(r"[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")


class RequestSigner:
    """Signs requests to the API at `url`. Raises Unavailable where there are no credentials, or no region."""

    def __init__(self, url: str) -> None:
        session = boto3.Session()
        host = _HOST.fullmatch(urlsplit(url).hostname or "")
        self._region = host[1] if host else session.region_name
        self._credentials = session.get_credentials()
        if self._credentials is None or self._region is None:
            raise Unavailable("signed requests need AWS credentials, and a region where the address names none")

    def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """The headers that prove who asks; refreshed credentials are used as they are now."""
        request = AWSRequest(method=method, url=url, data=body)
        SigV4Auth(self._credentials.get_frozen_credentials(), _SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())
