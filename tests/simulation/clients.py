"""Clients and operators, and the API that does what they ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.domain.caller import Caller
from tidegate.domain.errors import TidegateError, Unavailable
from tidegate.domain.job import Ms
from tidegate.domain.spec import JobSpec
from tidegate.ports import JobKey, Ports
from tidegate.service import policies, submit

from .cast import CALLER, Cast
from .world import Crash, Process


class Api:
    """The API's process; whoever uses it when it dies gets no answer."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._process: Process | None = None
        self._ports: Ports | None = None

    def ask(self, request: Callable[[Ports], Any]) -> Any:
        """Do a request; raises what the project raises, or Unavailable when the process died."""
        if self._process is None or not self._process.alive or self._ports is None:
            self._process, self._ports = self._cast.start("api")
        try:
            return request(self._ports)
        except Crash as crash:
            raise Unavailable("no answer") from crash


def client(cast: Cast, api: Api, caller: Caller, specs: Sequence[JobSpec], tries: int) -> None:
    """Submit; without an answer repeat the same request. What was answered is accepted."""
    for _ in range(tries):
        try:
            answers = api.ask(lambda ports: submit.submit(ports, caller, specs))
        except Unavailable:
            cast.world.sleep(cast.world.between(200, 5_000))
            continue
        for answer in answers:
            if isinstance(answer, submit.Submitted):
                cast.watch.answered.add(JobKey(caller.tenant, answer.job.id))
            elif not isinstance(answer, Unavailable):
                raise answer
        if not any(isinstance(answer, Unavailable) for answer in answers):
            return


def operator(cast: Cast, api: Api, request: Callable[[Ports], Any], tries: int) -> bool:
    """Ask for something once or until it is answered; refusals are answers too."""
    for _ in range(tries):
        try:
            api.ask(request)
        except Unavailable:
            cast.world.sleep(cast.world.between(200, 3_000))
        except TidegateError:
            return True
        else:
            return True
    return False


def pause_for(cast: Cast, api: Api, queue: str, ms: Ms) -> None:
    """Pause a queue for a while."""
    operator(cast, api, lambda ports: policies.pause_queue(ports, CALLER, queue, "test"), 3)
    cast.world.sleep(ms)
    operator(cast, api, lambda ports: policies.resume_queue(ports, CALLER, queue), 1_000)
    cast.watch.excuse()
