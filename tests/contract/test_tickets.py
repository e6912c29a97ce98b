"""`Tickets`: bands, visibility, delay and receive counts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.aws import VISIBILITY_SECONDS
from support.clock import Clock
from support.homes import Home
from tidegate.domain.priority import Band
from tidegate.domain.ticket import Ticket, decode, encode
from tidegate.ports import Delivery, Depth, Ports

NOTHING = Depth(0, 0, 0)
EMPTY = dict.fromkeys(Band, NOTHING)


def ticket(number: int = 0, *, priority: int = 5, pool: str = "default", tenant: str = "acme") -> Ticket:
    return Ticket(tenant, "mail", f"job-{number}", pool, priority, number)


def received(ports: Ports, *, pool: str = "default", limit: int = 10) -> list[Delivery]:
    return list(ports.tickets.receive(pool, limit, 0))


def numbers(deliveries: list[Delivery]) -> list[int]:
    return sorted(decode(each.body).rank for each in deliveries)


def test_a_ticket_comes_as_it_was_sent(ports: Ports) -> None:
    sent = ticket(7, tenant="zeta")
    ports.tickets.send([(sent, 0)])
    (delivery,) = received(ports)
    assert delivery.body == encode(sent)
    assert decode(delivery.body) == sent
    assert delivery.receives == 1
    assert delivery.source


def test_an_empty_pool_has_nothing(ports: Ports) -> None:
    assert received(ports) == []
    assert ports.tickets.depth("default") == EMPTY


def test_sending_finishing_and_receiving_nothing_is_allowed(ports: Ports) -> None:
    ports.tickets.send([])
    ports.tickets.finish([])
    assert received(ports) == []


def test_the_best_band_that_has_any_comes_first_and_alone(ports: Ports) -> None:
    ports.tickets.send([(ticket(priority, priority=priority), 0) for priority in range(11)])
    bands = [numbers(received(ports)) for _ in range(5)]
    assert bands == [[10], [7, 8, 9], [4, 5, 6], [0, 1, 2, 3], []]


def test_no_tenants_urgent_tickets_keep_anothers_from_being_seen(ports: Ports, clock: Clock) -> None:
    """Each receipt takes one of a flood of critical ones; of the other's three bands none waits for its end."""
    ports.tickets.send([(ticket(100 + number, priority=10), 0) for number in range(60)])
    others = [ticket(number, priority=number, tenant="zeta") for number in (9, 5, 0)]
    ports.tickets.send([(each, 0) for each in others])
    seen = [each for _ in range(24) for each in received(ports, limit=1)]
    assert len([each for each in seen if '"zeta"' in each.body]) == 3
    assert len(seen) == 24


def test_no_more_than_the_limit_are_delivered(ports: Ports) -> None:
    ports.tickets.send([(ticket(number), 0) for number in range(25)])
    batches = [received(ports, limit=limit) for limit in (1, 10, 10, 10)]
    assert [len(batch) for batch in batches] == [1, 10, 10, 4]
    assert numbers([each for batch in batches for each in batch]) == list(range(25))


def test_pools_are_apart(ports: Ports) -> None:
    ports.tickets.send([(ticket(1, pool="gpu"), 0), (ticket(2), 0)])
    assert numbers(received(ports, pool="gpu")) == [1]
    assert numbers(received(ports)) == [2]


def test_a_delivered_ticket_is_out_of_sight_until_its_visibility_ends(ports: Ports, clock: Clock) -> None:
    ports.tickets.send([(ticket(), 0)])
    received(ports)
    clock.advance(VISIBILITY_SECONDS - 1)
    assert received(ports) == []
    clock.advance(1.1)
    assert [each.receives for each in received(ports)] == [2]


def test_a_finished_ticket_never_comes_again(ports: Ports, clock: Clock) -> None:
    ports.tickets.send([(ticket(number), 0) for number in range(12)])
    ports.tickets.finish([*received(ports), *received(ports)])
    clock.advance(VISIBILITY_SECONDS + 1)
    assert received(ports) == []
    assert ports.tickets.depth("default") == EMPTY


def test_finishing_twice_or_late_does_no_harm(ports: Ports, clock: Clock) -> None:
    ports.tickets.send([(ticket(1), 0)])
    old = received(ports)
    clock.advance(VISIBILITY_SECONDS + 1)
    new = received(ports)
    assert numbers(new) == [1]
    ports.tickets.finish(new)
    ports.tickets.finish(new)
    ports.tickets.finish(old)
    ports.tickets.again(old[0], 0)
    ports.tickets.again(new[0], 0)
    clock.advance(VISIBILITY_SECONDS + 1)
    assert received(ports) == []


def test_a_late_finish_leaves_the_new_delivery_alone(home: Home) -> None:
    """SQS itself may go either way for a standard queue, and moto deletes: only SQLite can promise it."""
    if home.kind == "aws":
        pytest.skip("SQS does not say")
    home.ports.tickets.send([(ticket(1), 0)])
    old = received(home.ports)
    home.clock.advance(VISIBILITY_SECONDS + 1)
    assert len(received(home.ports)) == 1
    home.ports.tickets.finish(old)
    home.clock.advance(VISIBILITY_SECONDS + 1)
    assert numbers(received(home.ports)) == [1]


@pytest.mark.parametrize("delay", [1, 899, 900])
def test_a_delayed_ticket_comes_when_its_time_has_come(ports: Ports, clock: Clock, delay: float) -> None:
    ports.tickets.send([(ticket(), delay)])
    clock.advance(delay - 0.5)
    assert received(ports) == []
    clock.advance(1)
    assert len(received(ports)) == 1


def test_a_ticket_may_be_asked_for_again_at_once_or_later(ports: Ports, clock: Clock) -> None:
    ports.tickets.send([(ticket(), 0)])
    (delivery,) = received(ports)
    ports.tickets.again(delivery, 0)
    clock.advance(0.001)
    (delivery,) = received(ports)
    assert delivery.receives == 2
    ports.tickets.again(delivery, 10 * VISIBILITY_SECONDS)
    clock.advance(9 * VISIBILITY_SECONDS)
    assert received(ports) == []
    clock.advance(VISIBILITY_SECONDS + 1)
    assert [each.receives for each in received(ports)] == [3]


def test_a_ticket_can_be_kept_away_for_the_whole_twelve_hours(ports: Ports, clock: Clock) -> None:
    ports.tickets.send([(ticket(), 0)])
    clock.advance(5)
    ports.tickets.again(received(ports)[0], 43_200 - 5)
    clock.advance(43_200 - 10)
    assert received(ports) == []
    clock.advance(6)
    assert len(received(ports)) == 1


def test_the_depth_tells_seen_held_and_delayed_tickets_by_band(ports: Ports, clock: Clock) -> None:
    ports.tickets.send([(ticket(number), 0) for number in range(3)])
    ports.tickets.send([(ticket(number, priority=9), 60) for number in range(2)])
    ports.tickets.send([(ticket(pool="gpu"), 0)])
    received(ports, limit=1)
    expected = {**EMPTY, Band.NORMAL: Depth(2, 1, 0), Band.HIGH: Depth(0, 0, 2)}
    assert ports.tickets.depth("default") == expected
    assert [ports.tickets.visible("default", most) for most in (1, 2, 3)] == [1, 2, 2]


def test_waiting_for_a_ticket_ends_in_time(ports: Ports) -> None:
    for wait in (0.3, 1.2):
        start = time.monotonic()
        assert list(ports.tickets.receive("default", 1, wait)) == []
        assert wait * 0.9 <= time.monotonic() - start < wait + 15


def test_waiting_does_not_delay_a_ticket_that_is_there(ports: Ports) -> None:
    ports.tickets.send([(ticket(priority=0), 0)])
    start = time.monotonic()
    assert len(ports.tickets.receive("default", 1, 20)) == 1
    assert time.monotonic() - start < 18


def test_a_ticket_takes_the_trace_along_that_it_is_sent_in(aws_ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS X-Ray: a worker's segment is then in the trace of the request."""
    root = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"
    sent: list[Any] = []
    tickets: Any = aws_ports.tickets
    events = tickets._clients.sqs.meta.events

    def note(params: dict[str, Any], **_: Any) -> None:
        sent.extend(entry.get("MessageSystemAttributes") for entry in params["Entries"])

    events.register("provide-client-params.sqs.SendMessageBatch", note)
    for sampled in ("Sampled=1", "Sampled=0"):
        monkeypatch.setenv("_X_AMZN_TRACE_ID", f"{root};{sampled}")
        aws_ports.tickets.send([(ticket(), 0)])
    events.unregister("provide-client-params.sqs.SendMessageBatch", note)
    assert sent == [{"AWSTraceHeader": {"DataType": "String", "StringValue": f"{root};Sampled=1"}}, None]
