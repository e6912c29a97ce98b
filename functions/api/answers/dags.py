"""What the routes of runs answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.job import State

from .base import Answer, Table, Time, Told
from .jobs import Job


class DagProgress(Answer):
    """The figures of a run: `progress_pct` counts every job that ended."""

    total_jobs: int
    completed: int = Field(description="COMPLETED and SKIPPED jobs.")
    active: int
    failed: int
    progress_pct: float


class DagNode(BaseModel):
    """One job of a run."""

    model_config = ConfigDict(extra="forbid")

    id: str
    job_id: str
    state: State
    depends_on: list[str]
    reason: str | None = None


class Dag(Answer):
    """A run of a DAG."""

    id: str
    name: str
    definition: str | None = Field(description="`name@version` of the definition that it was made from.")
    state: RunState
    reason: str | None
    failure_policy: FailurePolicy
    tags: list[str]
    metadata: dict[str, str]
    created_at: Time
    updated_at: Time
    completed_at: Time | None
    soft_sla: Time | None
    hard_sla: Time | None
    warned_at: Time | None = Field(description="When it was noticed that the soft deadline had passed.")
    keep_until: Time | None = Field(description="When it and its jobs are deleted; unknown before it has ended.")
    resumed: int = Field(description="How often it was resumed.")
    correlation_id: str | None = Field(description="The X-Request-Id of the request that made it.")
    progress: DagProgress
    nodes: list[DagNode] | None = Field(None, description="Only where the jobs were read.")


class DagSubmitted(Told):
    """An accepted run."""

    dag_id: str
    dag: Dag


class DagAnswer(Told):
    """One run."""

    dag: Dag


class DagList(Told):
    """A page of runs."""

    dags: list[Dag]
    next_cursor: str | None


class DagFigures(DagProgress):
    """The figures of one run."""

    dag_id: str


class DagProgressAnswer(Told):
    """How far a run is."""

    progress: DagFigures


class DagNext(Told):
    """The next ready job of a run."""

    job: Job | None


class DagGraph(Told):
    """A run as a picture."""

    format: Literal["json", "mermaid", "dot"]
    graph: dict[str, Any] | str = Field(
        description="Nodes with their times, edges, and the critical path; or text for a drawing program."
    )


class DagExtent(Answer):
    """How large a run would be."""

    nodes: int
    edges: int
    depth: int = Field(description="The number of nodes in the longest chain.")


class DagValid(Told):
    """Nothing is wrong with the run."""

    dag: DagExtent


ANSWERS: Table = {
    "submit_dag": {201: DagSubmitted, 200: DagSubmitted},
    "validate_dag": {200: DagValid},
    "list_dags": {200: DagList},
    "get_dag": {200: DagAnswer},
    "get_dag_progress": {200: DagProgressAnswer},
    "get_dag_next": {200: DagNext},
    "get_dag_graph": {200: DagGraph},
    "cancel_dag": {200: DagAnswer},
    "resume_dag": {200: DagAnswer},
}
