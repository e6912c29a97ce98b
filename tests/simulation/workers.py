"""Workers of both kinds: the project's runner, pull loop and worker function, with handlers of virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tidegate_functions.worker.handler as worker_function

from tidegate.domain.dag.run import BUILT_IN
from tidegate.domain.errors import LeaseLost, NotFound, TidegateError, Unavailable
from tidegate.domain.job import ErrorType, Job, Ms
from tidegate.execution.attempt_runner import described
from tidegate.execution.attempts import Fault
from tidegate.execution.context import JobContext, PermanentError, Skip, Snooze
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Runner, Verdict
from tidegate.ports import Delivery, Ports
from tidegate.runtime import App
from tidegate.service.claim import Claimed
from tidegate.service.payloads import with_payloads
from tidegate.worker import pull
from tidegate.worker.options import WorkerOptions

from .cast import EMBEDDED, LONG, SETTINGS, Cast
from .faults import Kind
from .world import Process, World


def _nothing(_: JobContext) -> None:
    """Handlers are not called: their time and their outcome are planned."""


EXECUTORS = {
    "work": Executor("work", _nothing),
    "tidy": Executor("tidy", _nothing, on_cancel=lambda context: None),
}
"""Those of the name `tidy` clean up when they are cancelled."""
_CLEAN_UP: Mapping[str, Any] = {"does": "work", "ms": 500}


def _step(job: Job, function: Any) -> Mapping[str, Any]:
    """What an attempt does, or its clean-up."""
    if function is EXECUTORS["tidy"].on_cancel:
        return _CLEAN_UP
    steps: Sequence[Mapping[str, Any]] = job.data["plan"]
    return steps[min(job.attempt, len(steps)) - 1]


class VirtualRunner(Runner):
    """The project's runner; only the handler's call is replaced: by virtual time, as the job's data plan it."""

    def __init__(self, cast: Cast, process: Process, ports: Ports, *, extend_tickets: bool) -> None:
        super().__init__(
            ports,
            EXECUTORS,
            worker_id=process.name,
            lease_seconds=cast.home.lease,
            extend_tickets=extend_tickets,
        )
        self._cast = cast
        self._process = process

    def serve(self, delivery: Delivery, acknowledge: Any, *, seconds_left: float = float("inf")) -> Verdict:
        self._cast.watch.begins(self._process, delivery.body)
        try:
            return super().serve(delivery, acknowledge, seconds_left=seconds_left)
        finally:
            claim = None if self._ahead is None else self._ahead[2]
            self._cast.watch.lets_go(self._process, claim.job if isinstance(claim, Claimed) else None)

    def _call(self, attempt: Any, function: Any, seconds: float) -> Any:
        context: JobContext = attempt.context
        try:
            context.load(lambda job: with_payloads(self._ports.blobs, job))
        except NotFound:
            return Fault(ErrorType.SYSTEM, "the job's data is missing", permanent=True)
        context.log.info("begun")
        self._cast.watch.runs(attempt.job)
        if attempt.job.name in BUILT_IN:
            return self._built_in_call(context, function)
        timeout = min(seconds, max(1.0, attempt.seconds_left))
        pulse = _Pulse()
        self._cast.world.spawn(lambda: self._beats(attempt.job, context, pulse), self._pause())
        try:
            return self._act(context.record, context, _step(context.record, function), timeout)
        finally:
            pulse.wanted = False
            while pulse.beating and self._cast.watch.start_bound is not None:
                self._process.sleep(10)

    def _built_in_call(self, context: JobContext, function: Any) -> Any:
        """What gathers, chooses or collects is the project's own, and takes as long as its calls do."""
        try:
            return function(context)
        except PermanentError as error:
            return Fault(error.error_type, described(error), permanent=True)
        except TidegateError as error:
            return Fault(ErrorType.AGENT, described(error))

    def _pause(self) -> Ms:
        """Milliseconds between two heartbeats."""
        return round(self._lease_seconds * 1000 / 3)

    def _act(self, job: Job, context: JobContext, step: Mapping[str, Any], timeout: float) -> Any:
        does, ms, limit = step["does"], step["ms"], round(timeout * 1000)
        if does == "hang":
            ms = limit + 1
        for _ in range(4):
            self._process.sleep(min(ms, limit) // 4)
            if step.get("obeys") and context.cancelled:
                return None
            if self._cast.faults.strikes(Kind.HANDLER_DIED):
                self._process.die()
        if does == "stuck":
            self._give_up(job)
            self._process.die()
        if ms > limit:
            return Fault(ErrorType.TIMEOUT, "too long")
        if does == "die":
            self._process.die()
        return self._outcome(does, step)

    def _outcome(self, does: str, step: Mapping[str, Any]) -> Any:
        match does:
            case "fail":
                return Fault(ErrorType.AGENT, "bad page")
            case "fail for good":
                return Fault(ErrorType.AGENT, "no such page", permanent=True)
            case "skip":
                return Skip("nothing to do")
            case "snooze":
                return Snooze(step["seconds"])
            case "answer much":
                return "x" * 100_001
        return step.get("answer", {"done": True})

    def _beats(self, job: Job, context: JobContext, pulse: _Pulse) -> None:
        """What `Pulse` does. When things go wrong, a beat that is under way when the handler ends still arrives."""
        while pulse.wanted:
            pause = self._pause()
            pulse.beating = True
            try:
                if self._beat(job, context.take_progress()).cancel_requested:
                    context.ask_to_stop()
            except (LeaseLost, NotFound):
                context.ask_to_stop(lease_lost=True)
            except Unavailable:
                context.give_progress_back()
                pause = 1_000
            pulse.beating = False
            self._process.sleep(pause)


@dataclass(slots=True)
class _Pulse:
    """Whether heartbeats are wanted, and whether one is under way."""

    wanted: bool = True
    beating: bool = False


def puller(cast: Cast) -> Callable[[Process, Ports], None]:
    """A worker that runs the project's pull loop."""

    def life(process: Process, ports: Ports) -> None:
        runner = VirtualRunner(cast, process, ports, extend_tickets=True)
        settings = SETTINGS if cast.home is EMBEDDED else replace(SETTINGS, data=None)
        loop = pull.PullLoop(App(ports, settings), runner, WorkerOptions())
        loop._wait = LONG / 1000  # a ticket wakes it
        loop.run()

    return life


class _Invocation:
    """Lambda's context, on virtual time."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._end = world.now + round(seconds * 1000)

    def get_remaining_time_in_millis(self) -> int:
        return self._end - self._world.now


def event_source(cast: Cast) -> Callable[[Process, Ports], None]:
    """SQS's event source mapping, and the worker function that it calls."""

    def life(process: Process, ports: Ports) -> None:
        app = App(ports, SETTINGS)
        cast.runners[app] = VirtualRunner(cast, process, ports, extend_tickets=False)
        while True:
            try:
                deliveries = ports.tickets.receive("default", cast.batch, LONG / 1000)
                with cast.runs(app):
                    answer = worker_function.handler(_sqs_event(deliveries), _Invocation(cast.world, 300))
                failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
                ports.tickets.finish([each for each in deliveries if each.receipt not in failed])
            except Unavailable:
                process.sleep(1_000)

    return life


def _sqs_event(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": each.receipt,
                "receiptHandle": each.receipt,
                "body": each.body,
                "attributes": {"ApproximateReceiveCount": str(each.receives)},
                "eventSourceARN": f"arn:aws:sqs:eu-west-1:000000000000:{each.source}",
            }
            for each in deliveries
        ]
    }
