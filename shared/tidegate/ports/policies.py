"""What the people of a tenant have set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tidegate.domain.bucket import Bucket
    from tidegate.domain.definition import Definition
    from tidegate.domain.job import Ms
    from tidegate.domain.queue import Queue
    from tidegate.domain.tenant import Tenant
    from tidegate.domain.webhook import WebhookSecret


class Queues(Protocol):
    """Queue policies."""

    def get(self, tenant: str, name: str) -> Queue | None:
        """The policy as last stored."""

    def list(self, tenant: str) -> Sequence[Queue]:
        """All policies of the tenant, by name."""

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """Store a policy. Guard: the stored one is still `seen` (None: none). Answers whether it was stored."""


class Admitted(NamedTuple):
    """How many of those that asked may pass, and when the bucket is full again (microseconds since 1970)."""

    passed: int
    full_at: int


class Tenants(Protocol):
    """Limits of tenants, and their buckets."""

    def get(self, name: str) -> Tenant | None:
        """The limits as last stored; None where none ever were."""

    def put_if_unchanged(self, tenant: Tenant, seen: Tenant | None) -> bool:
        """Store limits. Guard: the stored version is that of `seen` (None: none). Answers whether they were stored."""

    def admit(self, name: str, bucket: Bucket, wanted: int, now: Ms) -> Admitted:
        """Let up to `wanted` pass. Guard: the tenant's bucket holds so many."""


class Definitions(Protocol):
    """Definitions of jobs, every version of them."""

    def get(self, tenant: str, name: str, version: int | None = None) -> Definition | None:
        """A version as it was stored; the latest unless told which."""

    def list(self, tenant: str) -> Sequence[Definition]:
        """The latest version of each definition of the tenant, by name."""

    def add(self, definition: Definition) -> bool:
        """Store a version. Guard: the latest one is the version before (1: there is none). Answers whether it was."""


class WebhookSecrets(Protocol):
    """What the webhooks of each queue are signed with."""

    def get(self, tenant: str, queue: str) -> WebhookSecret | None:
        """The secret as last stored."""

    def put_if_unchanged(self, secret: WebhookSecret, seen: WebhookSecret | None) -> bool:
        """Store a secret. Guard: the stored one is still `seen` (None: none). Answers whether it was stored."""
