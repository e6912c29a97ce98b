"""Which scope each operation needs: published in the description, held by the services, tested for every route."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.domain.caller import Scope

ANY_TOKEN: None = None
"""Any valid token will do: nothing of a tenant is told but its name."""

NEEDED: Mapping[str, Scope | None] = {
    "health": ANY_TOKEN,
    "openapi": ANY_TOKEN,
    "whoami": ANY_TOKEN,
    **dict.fromkeys(
        (
            "submit_job",
            "submit_jobs",
            "invoke",
            "delete_job",
            "cancel_job",
            "marie_stop_job",
            "retry_job",
            "reprioritise_job",
            "bulk",
            "submit_dag",
            "cancel_dag",
            "resume_dag",
            "create_schedule",
            "patch_schedule",
            "delete_schedule",
            "enable_schedule",
            "disable_schedule",
            "trigger_schedule",
            "backfill_schedule",
        ),
        Scope.SUBMIT,
    ),
    **dict.fromkeys(
        (
            "list_jobs",
            "marie_list_jobs",
            "get_job",
            "marie_jobs",
            "get_job_logs",
            "get_job_history",
            "get_job_why",
            "stream_events",
            "list_dags",
            "get_dag",
            "get_dag_progress",
            "get_dag_next",
            "get_dag_graph",
            "list_workers",
            "list_queues",
            "get_queue",
            "list_schedules",
            "get_schedule",
            "next_runs",
            "schedule_history",
            "get_stats",
            "retry_analysis",
            "throughput",
            "timeline",
            "depth",
            "sla_figures",
            "common_errors",
            "stuck_jobs",
            "queue_figures",
            "pipeline_status",
            "pipeline_metrics",
            "capacity",
        ),
        Scope.READ,
    ),
    **dict.fromkeys(
        (
            "claim_jobs",
            "put_worker",
            "heartbeat",
            "get_job_data",
            "get_job_upstream",
            "get_job_entries",
            "append_job_logs",
            "complete_job",
            "fail_job",
            "skip_job",
            "snooze_job",
            "job_stopped",
        ),
        Scope.WORK,
    ),
    **dict.fromkeys(
        (
            "put_queue",
            "patch_queue",
            "pause_queue",
            "resume_queue",
            "pause_schedules",
            "resume_schedules",
            "purge",
            "archive",
            "retry_jobs",
            "reset_stuck",
            "dead_letters",
            "redrive",
            "read_audit",
        ),
        Scope.OPERATE,
    ),
    **dict.fromkeys(("create_token", "list_tokens", "revoke_token"), Scope.ADMIN),
}
"""By `operation_id`. `admin` has all scopes."""
