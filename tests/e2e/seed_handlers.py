"""Executors for the examples of the documents that Tidegate was made from."""

from __future__ import annotations

from typing import Any

from tidegate import HandlerError, JobContext, executor


@executor("extract")
def extract(job: JobContext) -> dict[str, int]:
    """Document 000: count the pages of an asset."""
    return {"pages": len(job.data["pages"])}


@executor("training")
def training(job: JobContext) -> dict[str, float]:
    """Document 002: say what training says; run out of memory where `fails` is set."""
    job.log.info("Starting training")
    job.log.info("Epoch 1/10 - loss: 0.45")
    job.log.warning("GPU memory at 85%")
    if job.data.get("fails"):
        job.log.error("out of memory")
        raise RuntimeError("out of memory")
    return {"loss": 0.25}


@executor("evaluation")
def evaluation(job: JobContext) -> dict[str, Any]:
    """Document 002: answer what was evaluated."""
    return {"dataset": (job.data or {}).get("dataset")}


@executor("text_processing")
def text_processing(job: JobContext) -> dict[str, str]:
    """Document 003: an agent that fails until attempt number `until`."""
    if job.attempt < job.data.get("until", 1):
        raise HandlerError("the agent is not there", error_type="agent")
    return {"sentiment": "positive"}
