"""Faults between the deployed functions and AWS: a share of all calls is refused, or applied and reported as failed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

from botocore.exceptions import ReadTimeoutError  # type: ignore[import-untyped]
from botocore.session import Session  # type: ignore[import-untyped]

SERVICES = ("dynamodb", "sqs", "s3")


class Faults:
    """Strikes the calls of every client that this process makes from now on."""

    def __init__(self, seed: int) -> None:
        self.share = 0.0
        self.struck: Counter[str] = Counter()
        self._rng = random.Random(seed)
        self._call = threading.local()
        make = Session.create_client

        def create_client(session: Session, service: str, *arguments: Any, **named: Any) -> Any:
            client = make(session, service, *arguments, **named)
            if service in SERVICES:
                client.meta.events.register_first(f"before-call.{service}", self._before)
                client.meta.events.register_last(f"after-call.{service}", self._after)
            return client

        Session.create_client = create_client

    def _before(self, model: Any, **_: Any) -> Any:
        self._call.unreported = False
        if self._rng.random() >= self.share:
            return None
        if self._rng.random() < 0.5:
            self._call.unreported = True
            return None
        self.struck[f"{model.name} refused"] += 1
        http = type("Http", (), {"status_code": 400, "headers": {}})()
        error = {"Code": "ThrottlingException", "Message": "slow down"}
        return http, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def _after(self, model: Any, **_: Any) -> None:
        if getattr(self._call, "unreported", False):
            self.struck[f"{model.name} unreported"] += 1
            raise ReadTimeoutError(endpoint_url="https://aws")
