"""What clients can do with the limits of their tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .calls import Call
from .fields import to_json
from .sender import AsyncSender, Sender

Limits = Mapping[str, Any]


def found() -> Call[Limits]:
    """The limits and their use."""
    return Call("GET", "/tenant", _read)


def changed(limits: Limits) -> Call[Limits]:
    """Change limits; doing it again changes nothing."""
    return Call("PATCH", "/tenant", _read, body=to_json(dict(limits), "the limits"))


def _read(wire: Mapping[str, Any]) -> Limits:
    return dict(wire["tenant"])


class TenantMethods(Sender):
    """The methods of `Client` for its tenant."""

    def tenant(self) -> Limits:
        """The tenant's limits (None: no limit of its own), and in `use` how much of them is used."""
        return self._run(found())

    def change_tenant(self, **limits: float | None) -> Limits:
        """Change limits of the tenant; None takes one away. Needs the scope `admin`.

        Raises Forbidden where they are set in the home itself, InvalidInput.
        """
        return self._run(changed(limits))


class AsyncTenantMethods(AsyncSender):
    """The methods of `TenantMethods`, awaited."""

    async def tenant(self) -> Limits:
        """See `TenantMethods.tenant`."""
        return await self._run(found())

    async def change_tenant(self, **limits: float | None) -> Limits:
        """See `TenantMethods.change_tenant`."""
        return await self._run(changed(limits))
