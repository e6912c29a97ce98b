"""The routes of `/tenant`: what the caller's tenant may use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request
from pydantic import Field

from tidegate import runtime
from tidegate.domain.tenant import Tenant
from tidegate.service import tenants as service

from .bodies import Body
from .requests import answer, caller_of, only

router = Router()  # type: ignore[no-untyped-call]


class TenantLimits(Body):
    """Limits to be changed; null takes one away, what is not given stays as it is."""

    submit_rate: float | None = Field(None, description="Jobs accepted a second, on the long run.")
    submit_burst: int | None = Field(None, description="Most at once after a pause; null: what comes in ten seconds.")
    max_running: int | None = Field(None, description="Most jobs of all queues that run at once.")
    max_schedules: int | None = None
    max_batch: int | None = Field(None, description="Most jobs in one request.")
    max_dag_nodes: int | None = Field(None, description="Most nodes of one run.")
    max_payload_bytes: int | None = Field(None, description="Of one job's data, as compact JSON.")
    daily_budget: float | None = Field(None, description="Dollars that jobs may cost in a day of UTC.")
    monthly_budget: float | None = Field(None, description="Dollars that jobs may cost in a month of UTC.")
    budget_warn_at: float | None = Field(None, description="The part of a budget at which is warned; null: 0.8.")

    def given(self) -> dict[str, Any]:
        """The limits that the request names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


@router.get("/tenant", tags=["tenants"], operation_id="get_tenant", summary="The tenant's limits, and their use")
def get_tenant(request: Request) -> Response[Any]:
    """Of the token's tenant: nobody asks for another's."""
    only(request)
    tenant, use = service.get_tenant(runtime.current().ports, caller_of(request))
    return _told("Tenant retrieved", {**tenant_view(tenant), "use": asdict(use)})


@router.patch("/tenant", tags=["tenants"], operation_id="patch_tenant", summary="Change limits of the tenant")
def patch_tenant(request: Request, body: TenantLimits) -> Response[Any]:
    """They apply within seconds. Limits that were set in the home itself (`fixed`) are changed there alone: 403."""
    tenant = service.change_tenant(runtime.current().ports, caller_of(request), body.given())
    return _told("Tenant changed", tenant_view(tenant))


def tenant_view(tenant: Tenant) -> dict[str, Any]:
    """The limits under the tenant's name."""
    return {"name": tenant.name, **service.limits_of(tenant)}


def _told(message: str, view: dict[str, Any]) -> Response[Any]:
    return answer({"success": True, "message": message, "tenant": view})
