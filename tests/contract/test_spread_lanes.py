"""Queues whose ready jobs stand on several keys of the index: exact order, and changes of their number."""

from __future__ import annotations

from collections import Counter

from contract.test_aws_storage import counted, items
from support.aws import Cloud
from support.clock import START_MS
from support.homes import Home
from support.jobs import make_job
from tidegate.domain import guarded, spread
from tidegate.domain.caller import Caller
from tidegate.domain.guard import Lease
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import Ports
from tidegate.service.policies import patch_queue, put_queue
from tidegate.service.reticket import reticket_lanes

CALLER = Caller("acme", "ann", frozenset({"admin"}))
LANE = Lane("acme", "mail")


def _stored(home: Home, count: int, first_rank: int) -> list[str]:
    """Jobs in the lane, the last of them the best; answers their ids, the best first."""
    ids = [home.clock.new_id() for _ in range(count)]
    ranks = range(first_rank + count - 1, first_rank - 1, -1)
    home.ports.jobs.create([make_job(job_id, rank=rank) for job_id, rank in zip(ids, ranks, strict=True)])
    return ids[::-1]


def _head(home: Home, limit: int = 100) -> list[str]:
    return [ready.job_id for ready in home.ports.jobs.head(LANE, limit)]


def _claim(home: Home, job_id: str) -> None:
    now = home.clock.now()
    write = guarded.claim_if_ready(LANE, job_id, Lease("w", now + 60_000), now)
    assert home.ports.jobs.apply([write])[0].applied


def _asked(home: Home) -> int:
    policy = home.ports.queues.get(*LANE)
    return 0 if policy is None else policy.shards_asked


def test_the_order_is_exact_while_the_number_of_keys_changes_and_old_keys_are_given_up_when_empty(home: Home) -> None:
    put_queue(home.ports, CALLER, "mail", {"shards": 4})
    home.clock.advance(spread.SETTLED_MS / 1000)
    spread_out = _stored(home, 12, 100)
    assert _head(home) == spread_out
    assert _head(home, 3) == spread_out[:3]
    assert [ready.rank for ready in home.ports.jobs.head(LANE, 2, 105)] == [105, 106]

    patch_queue(home.ports, CALLER, "mail", {"shards": 1})
    home.clock.advance(spread.EMPTY_AFTER_MS / 1000)
    better = _stored(home, 3, 50)
    assert _head(home) == [*better, *spread_out]
    reticket_lanes(home.ports, [(LANE, home.clock.now())], home.clock.now())
    if home.kind == "aws":
        assert _asked(home) == 4  # jobs stand there: they are asked for on

    for job_id in [*better, *spread_out]:
        assert _head(home, 1) == [job_id]
        _claim(home, job_id)
    reticket_lanes(home.ports, [(LANE, home.clock.now())], home.clock.now())
    assert _asked(home) == 1


def test_jobs_of_a_sleeper_are_found_by_the_clock_on_keys_that_nobody_asks_any_more(home: Home) -> None:
    """A process that slept in the middle of a write for longer than an old key is asked."""
    policy = Queue(tenant="acme", name="mail", shards=5)
    assert home.ports.queues.put_if_unchanged(policy, None)
    late = _stored(home, 5, 1)
    assert home.ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail", shards_ever=5), policy)
    home.clock.advance(120)
    sent, _ = reticket_lanes(home.ports, [(LANE, START_MS)], home.clock.now())
    assert sent == len(late)


def test_a_claim_asks_each_key_once_and_jobs_are_spread_over_all(aws: Cloud, aws_ports: Ports) -> None:
    home = Home("aws", aws_ports, aws.clock)
    assert aws_ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail", shards=4), None)
    best = _stored(home, 40, 1)[0]
    stand = Counter(item["board"]["S"] for item in items(aws))
    assert set(stand) == {"r#acme#mail", "r#acme#mail#1", "r#acme#mail#2", "r#acme#mail#3"}
    with counted(aws.clients.dynamodb) as calls:
        assert _head(home, 1) == [best]
    assert calls == {"Query": 4}


def test_jobs_are_put_only_where_every_process_looks_until_all_know_of_the_change() -> None:
    """Whatever changes follow on one another: those who know an older policy ask all keys that are written."""
    policies = [Queue(tenant="acme", name="mail")]
    for second, shards in enumerate((4, 2, 8, 1, 20, 20, 3)):
        now = START_MS + second * 1_000
        wanted = Queue(tenant="acme", name="mail", shards=shards)
        policies.append(spread.changed(wanted, policies[-1], now))
        written = spread.written(policies[-1], now + spread.SETTLED_MS // 2)
        assert all(written <= spread.asked(known) for known in policies)
        assert spread.asked(policies[-1]) >= max(known.shards for known in policies)
    assert spread.written(policies[-1], now + spread.SETTLED_MS) == 3
    assert spread.left_behind(policies[-1], now + spread.SETTLED_MS) == range(0)
    assert spread.left_behind(policies[-1], now + spread.EMPTY_AFTER_MS) == range(3, 20)
    assert spread.asked(spread.narrowed(policies[-1])) == 3
    assert spread.ever(spread.narrowed(policies[-1])) == 20
