"""`Queues`, `Lanes` and `Tokens`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from support.clock import START_MS, Clock
from tidegate.domain.job import HardMiss
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import Ports, Token

HOUR_MS = 3_600_000

PLAIN = Queue(tenant="acme", name="mail")
CHANGED: Mapping[str, Any] = {
    "pool": "gpu",
    "retry_limit": 0,
    "retry_delay": 0.5,
    "retry_backoff": False,
    "retry_delay_max": 60.25,
    "retry_jitter": True,
    "timeout": 0.1,
    "expire_in_seconds": 3.75,
    "keep_seconds": 0.0,
    "ordering": Ordering.AGING,
    "aging_seconds": 0.001,
    "age_floor_seconds": 1.5,
    "soft_sla_seconds": 0.5,
    "hard_sla_seconds": 60.0,
    "on_hard_miss": HardMiss.ONLY_TELL,
    "paused": True,
    "paused_by": "ann",
    "paused_reason": "",
    "created_at": START_MS,
    "updated_at": START_MS + 1,
    "webhook": {"url": "https://example.com/hook", "events": ["job.failed"]},
    "slots": 1,
    "key_slots": 500,
    "rate_limit": 10,
    "rate_period": "minute",
    "max_queue_size": 1000,
    "timeout_retry_limit": 0,
    "shards": 2,
    "shards_asked": 4,
    "shards_before": 3,
    "shards_from": START_MS + 2,
    "shards_ever": 5,
}
OTHER = replace(PLAIN, **CHANGED)


class TestQueues:
    @pytest.mark.parametrize("queue", [PLAIN, OTHER], ids=["plain", "other"])
    def test_a_policy_is_read_as_it_was_stored(self, ports: Ports, queue: Queue) -> None:
        assert ports.queues.put_if_unchanged(queue, None)
        assert ports.queues.get("acme", "mail") == queue

    def test_the_other_policy_differs_in_every_field(self) -> None:
        same = {each.name for each in fields(Queue) if getattr(PLAIN, each.name) == getattr(OTHER, each.name)}
        assert same == {"tenant", "name"}

    def test_an_absent_policy_is_none(self, ports: Ports) -> None:
        assert ports.queues.put_if_unchanged(PLAIN, None)
        assert ports.queues.get("acme", "post") is None
        assert ports.queues.get("zeta", "mail") is None

    def test_a_new_policy_is_refused_where_there_is_one(self, ports: Ports) -> None:
        assert ports.queues.put_if_unchanged(PLAIN, None)
        assert not ports.queues.put_if_unchanged(OTHER, None)
        assert ports.queues.get("acme", "mail") == PLAIN

    def test_a_change_is_refused_where_there_is_none(self, ports: Ports) -> None:
        assert not ports.queues.put_if_unchanged(OTHER, PLAIN)
        assert ports.queues.get("acme", "mail") is None

    def test_a_change_of_what_is_stored_is_stored(self, ports: Ports) -> None:
        assert ports.queues.put_if_unchanged(PLAIN, None)
        assert ports.queues.put_if_unchanged(OTHER, PLAIN)
        assert ports.queues.put_if_unchanged(PLAIN, OTHER)
        assert ports.queues.get("acme", "mail") == PLAIN

    @pytest.mark.parametrize("name", CHANGED)
    def test_a_change_in_any_field_since_is_noticed(self, ports: Ports, name: str) -> None:
        stored = replace(PLAIN, **{name: CHANGED[name]})
        assert ports.queues.put_if_unchanged(stored, None)
        assert not ports.queues.put_if_unchanged(OTHER, PLAIN)
        assert ports.queues.put_if_unchanged(PLAIN, stored)
        assert not ports.queues.put_if_unchanged(OTHER, stored)

    def test_all_policies_of_a_tenant_are_listed_by_name(self, ports: Ports) -> None:
        mine = [replace(OTHER, name=name) for name in ("b", "a", "Z", "a.1")]
        for queue in (*mine, replace(PLAIN, tenant="zeta")):
            ports.queues.put_if_unchanged(queue, None)
        assert list(ports.queues.list("acme")) == sorted(mine, key=lambda queue: queue.name)
        assert list(ports.queues.list("nobody")) == []


class TestLanes:
    def test_a_touched_lane_is_remembered_with_its_time(self, ports: Ports) -> None:
        lanes = [Lane("acme", "mail"), Lane("acme", "post"), Lane("zeta", "mail")]
        for lane in lanes:
            ports.lanes.touch(lane, START_MS)
        assert sorted(ports.lanes.all()) == [(lane, START_MS) for lane in lanes]

    def test_a_lane_touched_often_is_one_lane(self, ports: Ports) -> None:
        for minutes in range(0, 180, 5):
            ports.lanes.touch(Lane("acme", "mail"), START_MS + minutes * 60_000)
        ((lane, touched),) = ports.lanes.all()
        assert lane == Lane("acme", "mail")
        assert touched >= START_MS + 2 * HOUR_MS - 60_000

    def test_an_old_lane_is_dropped(self, ports: Ports, clock: Clock) -> None:
        ports.lanes.touch(Lane("acme", "mail"), START_MS)
        clock.advance(3 * 3600)
        ports.lanes.drop_if_untouched(Lane("acme", "mail"), START_MS)
        assert list(ports.lanes.all()) == []

    def test_a_lane_touched_since_is_kept(self, ports: Ports, clock: Clock) -> None:
        ports.lanes.touch(Lane("acme", "mail"), START_MS)
        clock.advance(3 * 3600)
        ports.lanes.touch(Lane("acme", "mail"), clock.now())
        ports.lanes.drop_if_untouched(Lane("acme", "mail"), START_MS)
        assert list(ports.lanes.all()) == [(Lane("acme", "mail"), clock.now())]

    def test_a_dropped_lane_can_be_touched_again(self, ports: Ports, clock: Clock) -> None:
        ports.lanes.touch(Lane("acme", "mail"), START_MS)
        clock.advance(3 * 3600)
        ports.lanes.drop_if_untouched(Lane("acme", "mail"), START_MS)
        ports.lanes.touch(Lane("acme", "mail"), clock.now())
        assert list(ports.lanes.all()) == [(Lane("acme", "mail"), clock.now())]

    def test_dropping_an_unknown_lane_does_nothing(self, ports: Ports, clock: Clock) -> None:
        clock.advance(3 * 3600)
        ports.lanes.drop_if_untouched(Lane("acme", "mail"), START_MS)
        assert list(ports.lanes.all()) == []


TOKEN = Token(
    id="t1",
    secret_hash="ab" * 32,
    tenant="acme",
    user="ann",
    scopes=frozenset({"read", "submit"}),
    created_at=START_MS,
)


class TestTokens:
    @pytest.mark.parametrize(
        "token",
        [
            TOKEN,
            replace(
                TOKEN, scopes=frozenset(), expires_at=0, revoked_at=START_MS, last_used_at=1, created_by="a", note="für"
            ),
        ],
        ids=["plain", "full"],
    )
    def test_a_token_is_read_as_it_was_stored(self, ports: Ports, token: Token) -> None:
        ports.tokens.put(token)
        assert ports.tokens.get("t1") == token
        assert list(ports.tokens.list("acme")) == [token]

    def test_an_unknown_token_is_none(self, ports: Ports) -> None:
        ports.tokens.put(TOKEN)
        assert ports.tokens.get("t2") is None
        assert ports.tokens.get("t1#") is None

    def test_a_token_is_replaced(self, ports: Ports) -> None:
        ports.tokens.put(replace(TOKEN, expires_at=START_MS))
        revoked = replace(TOKEN, revoked_at=START_MS + 1)
        ports.tokens.put(revoked)
        assert ports.tokens.get("t1") == revoked
        assert list(ports.tokens.list("acme")) == [revoked]

    def test_a_noted_use_changes_nothing_else(self, ports: Ports) -> None:
        ports.tokens.put(TOKEN)
        ports.tokens.note_use("t1", START_MS + 5)
        assert ports.tokens.get("t1") == replace(TOKEN, last_used_at=START_MS + 5)
        ports.tokens.note_use("t1", START_MS + 6)
        assert list(ports.tokens.list("acme")) == [replace(TOKEN, last_used_at=START_MS + 6)]

    def test_the_use_of_an_unknown_token_makes_none(self, ports: Ports) -> None:
        ports.tokens.note_use("t1", START_MS)
        assert ports.tokens.get("t1") is None

    def test_a_tenants_tokens_are_listed_oldest_first(self, ports: Ports) -> None:
        mine = [replace(TOKEN, id=name, created_at=START_MS + age) for name, age in (("x", 3), ("y", 1), ("z", 2))]
        for token in (*mine, replace(TOKEN, id="other", tenant="zeta")):
            ports.tokens.put(token)
        assert list(ports.tokens.list("acme")) == [mine[1], mine[2], mine[0]]
        assert list(ports.tokens.list("nobody")) == []
