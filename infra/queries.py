"""Questions to the logs of a stage, saved in CloudWatch Logs Insights under `tidegate-STAGE/`; a saved one is free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stage import StageConfig

_PROGRAM: Mapping[str, Sequence[str]] = {
    "errors by function": (
        'filter level in ["ERROR", "CRITICAL"]',
        "stats count(*) as lines, latest(message) as newest by logger, action, @log",
        "sort lines desc",
    ),
    "errors": (
        "fields @timestamp, @log, action, message, correlation_id, job_id",
        'filter level in ["ERROR", "CRITICAL"]',
        "sort @timestamp desc",
        "limit 200",
    ),
    "one request": (
        "fields @timestamp, @log, level, message, action, job_id, attempt",
        'filter correlation_id = "X-Request-Id of the request"',
        "sort @timestamp asc",
        "limit 1000",
    ),
    "one job": (
        "fields @timestamp, @log, level, message, action, attempt, correlation_id",
        'filter job_id = "id of the job"',
        "sort @timestamp asc",
        "limit 1000",
    ),
    "what went wrong in a while": (
        "filter ispresent(action)",
        "stats count(*) as lines by action, level, bin(5m)",
        "sort lines desc",
    ),
    "failed attempts by job": (
        'filter action = "attempt_failed"',
        "stats count(*) as attempts, max(attempt) as last by job_id",
        "sort attempts desc",
        "limit 100",
    ),
}
_ACCESS: Mapping[str, Sequence[str]] = {
    "slowest answers": (
        "fields @timestamp, requestId, method, path, status, latency, tenant",
        "sort latency desc",
        "limit 100",
    ),
    "answers by status": ("stats count(*) as answers, avg(latency) as ms, pct(latency, 99) as p99 by status, method",),
    "requests by tenant": ("stats count(*) as requests by tenant, bin(1h)", "sort requests desc"),
    "who is refused": ('filter status in ["401", "403", "429"]', "stats count(*) as answers by ip, status, tenant"),
}


class Queries(Construct):
    """The questions of `_PROGRAM` to the functions' logs, those of `_ACCESS` to the API's access log."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: StageConfig,
        functions: Iterable[logs.ILogGroup],
        access: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, name)
        for questions, groups in ((_PROGRAM, list(functions)), (_ACCESS, [access])):
            for title, lines in questions.items():
                logs.CfnQueryDefinition(
                    self,
                    title.title().replace(" ", ""),
                    name=f"tidegate-{stage.name}/{title}",
                    query_string="\n| ".join(lines),
                    log_group_names=[group.log_group_name for group in groups],
                )
