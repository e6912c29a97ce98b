"""`GET /jobs/{id}/why`: what keeps a job from running, or ended it."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.why.gate import Gate
from tidegate.service.why import why

from .requests import answer, caller_of, only
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]

_TIMES = ("_at", "_until", "_after")


@router.get("/jobs/<job_id>/why", tags=["jobs"], operation_id="get_job_why", summary="Why it is not running")
def get_job_why(request: Request, job_id: str) -> Response[Any]:
    """Every gate between the job and a worker with its facts; of an ended job, why it ended so.

    `verdict` is one sentence. `expected_start` is an estimate from what started lately, null where nothing tells.
    """
    only(request)
    found = why(runtime.current().ports, caller_of(request), job_id)
    view = {
        "job_id": found.job_id,
        "state": found.state.value,
        "verdict": found.verdict,
        "gates": [_gate_view(gate) for gate in found.gates],
        "expected_start": format_time(found.expected_start),
    }
    return answer({"success": True, "message": "Explanation retrieved successfully", "why": view})


def _gate_view(gate: Gate) -> dict[str, Any]:
    facts = {name: format_time(value) if name.endswith(_TIMES) else value for name, value in gate.facts.items()}
    return {"gate": gate.name.value, "holds": gate.holds, "message": gate.message, "facts": facts}
