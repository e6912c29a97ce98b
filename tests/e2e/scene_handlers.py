"""Executors of the scene that is photographed; how long they take and how they end is told by the job's data."""

from __future__ import annotations

import time
from typing import Any

from tidegate import JobContext, PermanentError, executor

_STEP_SECONDS = 0.2


def work(job: JobContext) -> dict[str, Any]:
    """Work for so many `seconds`, telling how far it is; then fail as `fails` says, if it does."""
    data = job.data or {}
    seconds = float(data.get("seconds", 0.05))
    job.log.info("opened %s", data.get("document", "the input"))
    for step in range(steps := max(1, round(seconds / _STEP_SECONDS))):
        if job.cancelled:
            return {"pages": step}
        job.progress(step / steps, f"page {step + 1} of {steps}")
        time.sleep(seconds / steps)
    if data.get("fails"):
        job.log.error("%s", data["fails"])
        raise PermanentError(data["fails"]) if data.get("at_once", True) else ConnectionError(data["fails"])
    job.log.info("done")
    return {"page_numbers": list(range(1, int(data.get("pages", 3)) + 1)), "words": 1_204, "label": "invoice"}


for name in ("split", "extract", "classify", "summarise", "file", "read_invoice", "render", "send", "embed", "report"):
    executor(name)(work)
