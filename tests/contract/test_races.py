"""Exactly one wins: threads on both homes, processes on SQLite, where several open one file."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from support.clock import START_MS, Clock
from support.homes import Home
from support.jobs import make_job
from tidegate.adapters.sqlite.ports import open_ports
from tidegate.domain import guarded
from tidegate.domain.guard import Lease
from tidegate.domain.job import Job, State
from tidegate.domain.logs import TABLE_LINES, Level, LogPlace, LogUsage, line_of, log_of
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import Addition, JobKey, Ports
from tidegate.service.log_chunks import chunks_after, lines_of
from tidegate.service.write_log import PortsLog

LANE = Lane("acme", "mail")
THREADS = 10
R = TypeVar("R")


def at_once(ports: Ports, action: Callable[[int], R], threads: int = THREADS) -> list[R]:
    """What `action` answers on each of several threads that start together."""
    barrier = threading.Barrier(threads)
    results: list[R | None] = [None] * threads
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = action(number)
        except BaseException as error:
            errors.append(error)
        finally:
            ports.close()

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert errors == []
    return [result for result in results if result is not None]


def test_lines_that_are_kept_at_once_are_all_kept(home: Home) -> None:
    """By threads that only know that they want the next place, in the table and, beyond its share, in blobs."""
    job = make_job("j", attempt=1)
    home.ports.jobs.create([job])
    log = PortsLog(home.ports, job)
    log.append(1, [line_of(START_MS, Level.INFO, "")] * (TABLE_LINES - THREADS), LogUsage())
    at_once(
        home.ports,
        lambda number: [log.append_next([line_of(START_MS, Level.INFO, f"{number} {turn}")]) for turn in range(2)],
    )
    chunks = [chunk for chunk, _ in chunks_after(home.ports, log_of(job), LogPlace(job.attempt, 1))]
    told = [line.message for chunk in chunks for line in lines_of(home.ports.blobs, chunk)]
    assert sorted(told) == sorted(f"{number} {turn}" for number in range(THREADS) for turn in range(2))
    assert sum(chunk.blob is not None for chunk in chunks) == THREADS
    assert log.kept()[0].lines == TABLE_LINES + THREADS


def claimed(ports: Ports, ids: Sequence[str], worker: str, now: int = START_MS) -> list[str]:
    """The jobs that a worker gets of all that it tries to claim, one by one and in an order of its own."""
    order = random.Random(worker).sample(list(ids), len(ids))
    claims = [guarded.claim_if_ready(LANE, job_id, Lease(worker, now + 60_000), now) for job_id in order]
    outcomes = [ports.jobs.apply([claim])[0] for claim in claims]
    return [claim.job_id for claim, outcome in zip(claims, outcomes, strict=True) if outcome.applied]


def test_of_ten_threads_claiming_every_job_exactly_one_gets_each(home: Home) -> None:
    jobs = [make_job(home.clock.new_id()) for _ in range(99)] + [make_job("named")]
    home.ports.jobs.create(jobs)
    ids = [job.id for job in jobs]
    won = at_once(home.ports, lambda number: claimed(home.ports, ids, f"w{number}"))
    assert Counter(job_id for each in won for job_id in each) == Counter(ids)
    for job in home.ports.jobs.get([JobKey("acme", job_id) for job_id in ids]):
        assert job is not None
        assert (job.state, job.attempt) == (State.ACTIVE, 1)
        assert job.id in won[int((job.worker_id or "")[1:])]


def test_of_ten_identical_claims_one_is_applied(ports: Ports, clock: Clock) -> None:
    """The same worker at the same time: not even an equal image makes a refusal look like a win."""
    job = make_job(clock.new_id())
    ports.jobs.create([job])
    won = at_once(ports, lambda _: claimed(ports, [job.id], "w"))
    assert sorted(won) == [[]] * 9 + [[job.id]]


def test_of_ten_settlements_of_one_attempt_one_is_applied(ports: Ports, clock: Clock) -> None:
    job = make_job(clock.new_id(), state=State.ACTIVE, attempt=1, lease_until=START_MS, worker_id="w")
    ports.jobs.create([job])

    def settle(number: int) -> bool:
        writes = [
            guarded.complete_if_held(job, number, None, START_MS),
            guarded.cancel_if_held(job, START_MS),
            guarded.reclaim_if_lapsed(job, Lease("other", START_MS * 2), START_MS),
        ]
        return ports.jobs.apply([writes[number % 3]])[0].applied

    assert Counter(at_once(ports, settle)) == {True: 1, False: 9}


def test_of_ten_creations_of_one_id_one_is_stored(ports: Ports, clock: Clock) -> None:
    for job_id in (clock.new_id(), "order-1", "order-2"):
        job = make_job(job_id)

        def create(number: int, job: Job = job) -> Job | None:
            return ports.jobs.create([replace(job, data=number, created_at=START_MS + number)])[0] or job

        answers = at_once(ports, create)
        stored = ports.jobs.get([JobKey("acme", job_id)])[0]
        assert Counter(answer == stored for answer in answers) == {True: 9, False: 1}
        assert [ready.job_id for ready in ports.jobs.head(LANE, 100)].count(job_id) == 1


def test_of_ten_equal_creations_one_is_stored(ports: Ports, clock: Clock) -> None:
    jobs = [make_job(clock.new_id()), make_job("order-1"), make_job(clock.new_id())]
    answers = at_once(ports, lambda _: list(ports.jobs.create(jobs)))
    assert [Counter(answer[position] is None for answer in answers) for position in range(3)] == [
        {True: 1, False: 9}
    ] * 3


def test_of_ten_changes_of_one_policy_one_is_stored(ports: Ports) -> None:
    for seen in (None, Queue(tenant="acme", name="mail", updated_at=START_MS)):
        if seen is not None:
            current = ports.queues.get("acme", "mail")
            assert ports.queues.put_if_unchanged(seen, current)

        def change(number: int, seen: Queue | None = seen) -> bool:
            return ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail", retry_limit=number), seen)

        assert Counter(at_once(ports, change)) == {True: 1, False: 9}


def test_of_ten_additions_of_one_batch_one_counts(ports: Ports) -> None:
    batch = [Addition("acme", "states", {"a": 1})]
    assert Counter(at_once(ports, lambda _: ports.figures.add_once("b", batch))) == {True: 1, False: 9}
    assert ports.figures.read("acme", "states") == {"a": 1}


def test_of_additions_at_once_none_is_lost(ports: Ports) -> None:
    def add(number: int) -> int:
        return sum(
            ports.figures.add_once(f"b{number}-{turn}", [Addition("acme", "states", {"a": 1})]) for turn in range(5)
        )

    assert sum(at_once(ports, add)) == 50
    assert ports.figures.read("acme", "states") == {"a": 50}


def _claim_in_process(folder: str, ids: list[str], worker: str, start: object, answer: object) -> None:
    ports = open_ports(Path(folder), now=lambda: START_MS, new_id=str, rng=random.Random(1))
    start.wait()  # type: ignore[attr-defined]
    answer.put((worker, claimed(ports, ids, worker)))  # type: ignore[attr-defined]
    ports.close()


def test_of_four_processes_claiming_thousands_of_jobs_exactly_one_gets_each(tmp_path: Path) -> None:
    clock = Clock()
    jobs = [make_job(clock.new_id()) for _ in range(2_000)]
    ports = open_ports(tmp_path, now=clock.now, new_id=clock.new_id, rng=random.Random(1))
    ports.jobs.create(jobs)
    ids = [job.id for job in jobs]
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=_claim_in_process, args=(str(tmp_path), ids, f"w{number}", start, answers))
        for number in range(4)
    ]
    for process in processes:
        process.start()
    won = dict(answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert Counter(job_id for each in won.values() for job_id in each) == Counter(ids)
    for job in ports.jobs.get([JobKey("acme", job_id) for job_id in ids]):
        assert job is not None
        assert job.attempt == 1
    ports.close()
