"""How the AWS adapters keep things: keys, items, times to live, pointers, requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

from support.aws import JOBS, REGISTRY, Cloud
from support.clock import START_MS, Clock
from support.jobs import FULL, make_job
from tidegate.adapters.aws import keys, listing
from tidegate.adapters.aws.expressions import update_for
from tidegate.adapters.aws.records import Change, change_of, item_of
from tidegate.adapters.aws.spreads import Spreads
from tidegate.adapters.aws.sqs_tickets import source_of
from tidegate.domain import guarded
from tidegate.domain.errors import NotFound
from tidegate.domain.guard import Guard, GuardedWrite, Lease
from tidegate.domain.job import TERMINAL, Job, State
from tidegate.domain.priority import Band
from tidegate.domain.ticket import Lane, Ticket
from tidegate.ports import Addition, JobKey, JobQuery, Ports

LANE = Lane("acme", "mail")
ALL = frozenset(State)
ONE_KEY = Spreads(lambda *_: None, lambda: START_MS)


@contextmanager
def counted(client: Any) -> Iterator[Counter[str]]:
    """How often each operation is called."""
    calls: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    client.meta.events.register("before-call", count)
    try:
        yield calls
    finally:
        client.meta.events.unregister("before-call", count)


def items(aws: Cloud, table: str = JOBS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.clients.dynamodb.scan(TableName=table)["Items"]
    return found


class TestKeys:
    def test_a_uuid7_is_its_own_key(self, aws: Cloud) -> None:
        job_id = aws.clock.new_id()
        assert keys.key_for(make_job(job_id)) == job_id

    @pytest.mark.parametrize(
        "job_id", ["x", "01D1A94A-2000-7000-8000-000000000001", "01d1a94a-2000-4000-8000-000000000001", "a" * 128]
    )
    def test_any_other_id_gets_a_key_of_the_time_it_was_made(self, job_id: str) -> None:
        key = keys.key_for(make_job(job_id))
        assert keys.is_key(key)
        assert key.startswith(keys.time_prefix(START_MS))
        assert key != keys.key_for(make_job(job_id + "y"))
        assert key < keys.key_for(make_job(job_id, created_at=START_MS + 1))

    def test_jobs_are_spread_evenly_over_the_shards(self) -> None:
        clock = Clock()
        shards = Counter(keys.job_key("acme", clock.new_id())[0] for _ in range(16_000))
        assert set(shards) == set(keys.job_partitions("acme"))
        assert max(shards.values()) < 600

    def test_a_plain_job_is_one_write_unit(self) -> None:
        job = make_job(
            Clock().new_id(),
            data={"document": "s3://bucket/inbox/invoice-1001.pdf", "pages": [1, 2, 3]},
            tags=("invoice", "urgent"),
            metadata={"customer": "c-1001"},
            worker_id="ip-10-0-0-1:1234:abcdef",
            started_at=START_MS,
            lease_until=START_MS,
            attempt=1,
        )
        assert _size(item_of(job, job.id, ONE_KEY)) < 1_024

    def test_defaults_take_no_room(self) -> None:
        item = item_of(make_job("x"), "key", ONE_KEY)
        assert {"data", "tags", "cancel_requested", "failures", "wake_at"}.isdisjoint(item)
        assert item["attempt"] == {"N": "0"}

    def test_every_value_and_name_of_a_write_is_a_placeholder(self) -> None:
        job = make_job("x", state=State.ACTIVE, attempt=1)
        write = guarded.complete_if_held(job, "'; DROP", None, START_MS)
        request = update_for(write, "key", ONE_KEY)
        assert "DROP" not in request["UpdateExpression"] + request["ConditionExpression"]
        assert "attribute_exists(pk)" in request["ConditionExpression"]

    def test_the_source_of_a_delivery_is_the_queues_name(self) -> None:
        assert source_of("https://sqs.eu-west-1.amazonaws.com/123/tide-high") == "tide-high"
        assert source_of("arn:aws:sqs:eu-west-1:123:tide-high") == "tide-high"


class TestTimeToLive:
    def test_a_job_whose_time_to_live_has_passed_is_gone_for_every_reader(self, aws: Cloud, aws_ports: Ports) -> None:
        kept, clock = {"state": State.FAILED, "keep_until": START_MS + 1_500}, aws.clock
        jobs = [make_job(clock.new_id(), **kept), make_job("named", **kept)]
        aws_ports.jobs.create(jobs)
        assert all(item["ttl"] == {"N": str(START_MS // 1000 + 2)} for item in items(aws) if "state" in item)
        assert _seen(aws_ports, jobs) == (2, 2, 2)
        clock.advance(1.999)
        assert _seen(aws_ports, jobs) == (2, 2, 2)
        clock.advance(0.001)
        assert _seen(aws_ports, jobs) == (0, 0, 0)

    @pytest.mark.parametrize("named", [False, True])
    def test_the_id_of_such_a_job_is_free_again(self, aws: Cloud, aws_ports: Ports, named: bool) -> None:
        old = make_job("named" if named else aws.clock.new_id(), state=State.FAILED, keep_until=START_MS)
        aws_ports.jobs.create([old])
        new = replace(old, state=State.CREATED, created_at=START_MS + 7_200_000, data="new")
        aws.clock.advance(7_200)
        assert aws_ports.jobs.create([new, make_job(aws.clock.new_id())]) == [None, None]
        assert aws_ports.jobs.get([JobKey("acme", old.id)]) == [new]
        assert new in aws_ports.jobs.page(JobQuery(tenant="acme")).jobs

    def test_an_open_job_outlives_its_keep_until(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id(), keep_until=START_MS)
        aws_ports.jobs.create([job])
        aws.clock.advance(10)
        assert aws_ports.jobs.get([JobKey("acme", job.id)]) == [job]

    def test_a_write_that_ends_a_job_sets_it_and_one_that_reopens_takes_it_back(
        self, aws: Cloud, aws_ports: Ports
    ) -> None:
        job = make_job(aws.clock.new_id())
        aws_ports.jobs.create([job])

        def written(values: Mapping[str, Any]) -> object:
            assert aws_ports.jobs.apply([GuardedWrite("acme", job.id, Guard(ALL), values)])[0].applied
            return items(aws)[0].get("ttl")

        assert written({"state": State.FAILED, "keep_until": START_MS + 1}) == {"N": str(START_MS // 1000 + 1)}
        assert written({"reason": "x"}) == {"N": str(START_MS // 1000 + 1)}
        assert written({"state": State.CREATED}) is None
        assert written({"state": State.FAILED}) is None


def _seen(ports: Ports, jobs: list[Job]) -> tuple[int, int, int]:
    """By how many jobs each way of reading finds."""
    read = [job for job in ports.jobs.get([JobKey("acme", job.id) for job in jobs]) if job is not None]
    by_creation = ports.jobs.page(JobQuery(tenant="acme")).jobs
    by_end = ports.jobs.page(JobQuery(tenant="acme", states=frozenset({State.FAILED}))).jobs
    return len(read), len(by_creation), len(by_end)


class TestPointers:
    def test_what_another_process_did_to_an_id_is_noticed(self, aws: Cloud, aws_ports: Ports) -> None:
        here, there = aws_ports, aws.open({})
        old = make_job("named", state=State.FAILED)
        here.jobs.create([old])
        key = JobKey("acme", "named")
        assert here.jobs.get([key]) == [old]
        assert there.jobs.erase_if_ended(key)
        new = make_job("named", created_at=START_MS + 1)
        assert there.jobs.create([new]) == [None]
        claim = guarded.claim_if_ready(LANE, "named", Lease("w", START_MS + 9), START_MS)
        assert here.jobs.apply([claim])[0].applied
        assert here.jobs.get([key])[0] == there.jobs.get([key])[0]

    def test_a_pointer_without_a_job_does_not_block_its_id(self, aws: Cloud, aws_ports: Ports) -> None:
        """DynamoDB deletes expired jobs by itself, and leaves their pointers behind."""
        aws_ports.jobs.create([make_job("named")])
        pk, sk = keys.job_key("acme", keys.key_for(make_job("named")))
        aws.clients.dynamodb.delete_item(TableName=JOBS, Key={"pk": {"S": pk}, "sk": {"S": sk}})
        assert aws_ports.jobs.get([JobKey("acme", "named")]) == [None]
        new = make_job("named", created_at=START_MS + 9)
        assert aws_ports.jobs.create([new]) == [None]
        assert aws_ports.jobs.get([JobKey("acme", "named")]) == [new]

    def test_erasing_leaves_nothing_behind(self, aws: Cloud, aws_ports: Ports) -> None:
        jobs = [make_job("named", state=State.FAILED), make_job(aws.clock.new_id(), state=State.COMPLETED)]
        aws_ports.jobs.create(jobs)
        assert all(aws_ports.jobs.erase_if_ended(JobKey("acme", job.id)) for job in jobs)
        assert items(aws) == []

    def test_a_pointer_is_looked_up_once(self, aws: Cloud, aws_ports: Ports) -> None:
        aws_ports.jobs.create([make_job("named")])
        with counted(aws.clients.dynamodb) as calls:
            for _ in range(3):
                aws_ports.jobs.get([JobKey("acme", "named")])
        assert calls == {"GetItem": 4}


class TestRequests:
    def test_a_life_of_a_job_is_three_requests(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id())
        aws_ports.jobs.head(LANE, 1)  # reads the policy, as whoever submits has done
        with counted(aws.clients.dynamodb) as calls:
            aws_ports.jobs.create([job])
            claim = guarded.claim_if_ready(LANE, job.id, Lease("w", START_MS + 9), START_MS)
            claimed = aws_ports.jobs.apply([claim])[0].job
            assert claimed is not None
            assert aws_ports.jobs.apply([guarded.complete_if_held(claimed, "done", None, START_MS)])[0].applied
        assert calls == {"PutItem": 1, "UpdateItem": 2}

    def test_a_hundred_jobs_are_created_in_four_requests_and_read_in_one(self, aws: Cloud, aws_ports: Ports) -> None:
        jobs = [make_job(aws.clock.new_id()) for _ in range(100)]
        aws_ports.jobs.head(LANE, 1)
        with counted(aws.clients.dynamodb) as calls:
            aws_ports.jobs.create(jobs)
            aws_ports.jobs.get([JobKey("acme", job.id) for job in jobs])
        assert calls == {"BatchExecuteStatement": 4, "BatchGetItem": 1}

    def test_a_lane_is_written_once_an_hour(self, aws: Cloud, aws_ports: Ports) -> None:
        with counted(aws.clients.dynamodb) as calls:
            for minute in range(120):
                aws_ports.lanes.touch(LANE, START_MS + minute * 60_000)
        assert calls == {"PutItem": 2}

    def test_a_lane_whose_touches_may_be_unwritten_is_not_dropped(self, aws: Cloud, aws_ports: Ports) -> None:
        aws_ports.lanes.touch(LANE, START_MS)
        aws.clock.advance(3 * 3600 - 1)
        aws_ports.lanes.drop_if_untouched(LANE, START_MS)
        assert list(aws_ports.lanes.all()) == [(LANE, START_MS)]

    def test_twenty_five_tickets_are_three_requests_in_the_tenants_group(self, aws: Cloud, aws_ports: Ports) -> None:
        sent: list[dict[str, Any]] = []

        def keep(params: dict[str, Any], **_: Any) -> None:
            sent.extend(params["Entries"])

        client = aws.clients.sqs
        client.meta.events.register("before-parameter-build.sqs.SendMessageBatch", keep)
        with counted(client) as calls:
            aws_ports.tickets.send([(Ticket("acme", "mail", f"j{n}", "default", 5, n), n / 2) for n in range(25)])
        client.meta.events.unregister("before-parameter-build.sqs.SendMessageBatch", keep)
        assert calls == {"SendMessageBatch": 3}
        assert {entry["MessageGroupId"] for entry in sent} == {"acme"}
        assert [entry["DelaySeconds"] for entry in sent] == [-(-n // 2) for n in range(25)]

    def test_a_ticket_for_a_pool_that_is_not_deployed_is_not_found(self, aws_ports: Ports) -> None:
        tickets = [(Ticket("acme", "mail", "j", pool, 5, 1), 0.0) for pool in ("default", "nowhere")]
        with pytest.raises(NotFound):
            aws_ports.tickets.send(tickets)
        assert aws_ports.tickets.depth("default")[Band.NORMAL].visible == 0

    def test_a_mark_of_a_batch_is_deleted_by_itself(self, aws: Cloud, aws_ports: Ports) -> None:
        aws_ports.figures.add_once("b", [Addition("acme", "states", {"a": 1})])
        (mark,) = (item for item in items(aws, REGISTRY) if "ttl" in item)
        assert int(mark["ttl"]["N"]) > START_MS // 1000 + 86_400


class TestListingBounds:
    def test_a_filter_that_drops_everything_is_given_up_in_time_and_can_be_continued(
        self, aws: Cloud, aws_ports: Ports, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "MAX_READS", 2)
        monkeypatch.setattr(listing, "_FILTERED_READ", 2)
        wanted = make_job(aws.clock.new_id(), name="needle")
        aws_ports.jobs.create([wanted, *(make_job(aws.clock.new_id()) for _ in range(130))])
        query, found, pages = JobQuery(tenant="acme", name="needle"), list[Job](), 0
        while True:
            with counted(aws.clients.dynamodb) as calls:
                page = aws_ports.jobs.page(query)
            assert calls["Query"] <= 2 * keys.SHARDS
            found += page.jobs
            pages += 1
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)
        assert found == [wanted]
        assert pages > 2

    def test_a_short_page_of_a_long_list_reads_a_part_of_it(self, aws: Cloud, aws_ports: Ports) -> None:
        aws_ports.jobs.create([make_job(aws.clock.new_id()) for _ in range(300)])
        with counted(aws.clients.dynamodb) as calls:
            assert len(aws_ports.jobs.page(JobQuery(tenant="acme", limit=10)).jobs) == 10
        assert calls == {"Query": keys.SHARDS}

    def test_ended_jobs_are_listed_from_their_shelf_by_when_they_ended(self, aws: Cloud, aws_ports: Ports) -> None:
        ended = [
            make_job(aws.clock.new_id(), state=State.FAILED, completed_at=START_MS + number) for number in (3, 1, 2)
        ]
        aws_ports.jobs.create([*ended, *(make_job(aws.clock.new_id()) for _ in range(50))])
        with counted(aws.clients.dynamodb) as calls:
            page = aws_ports.jobs.page(JobQuery(tenant="acme", states=frozenset({State.FAILED})))
        assert list(page.jobs) == [ended[0], ended[2], ended[1]]
        assert calls == {"Query": 1, "BatchGetItem": 1}

    def test_a_stale_entry_of_the_shelf_is_passed_over(self, aws: Cloud, aws_ports: Ports) -> None:
        """The index lags: here by an entry that never went."""
        job = make_job(aws.clock.new_id(), state=State.FAILED, completed_at=START_MS)
        aws_ports.jobs.create([job])
        revived = GuardedWrite("acme", job.id, Guard(ALL), {"state": State.CREATED})
        assert aws_ports.jobs.apply([revived])[0].applied
        assert list(aws_ports.jobs.page(JobQuery(tenant="acme", states=frozenset({State.FAILED}))).jobs) == []


class TestStream:
    def test_records_become_the_job_before_and_after(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job(aws.clock.new_id(), **{**FULL, "state": State.FAILED})
        aws_ports.jobs.create([job])
        ended = aws_ports.jobs.apply([GuardedWrite("acme", job.id, Guard(TERMINAL), {"reason": "x"})])[0].job
        assert aws_ports.jobs.erase_if_ended(JobKey("acme", job.id))
        changes = [change_of(record) for record in _stream(aws)]
        assert changes == [Change(None, job), Change(job, ended), Change(ended, None)]

    def test_pointers_are_passed_over(self, aws: Cloud, aws_ports: Ports) -> None:
        job = make_job("named")
        aws_ports.jobs.create([job])
        assert [change_of(record) for record in _stream(aws)].count(None) == 1
        assert Change(None, job) in [change_of(record) for record in _stream(aws)]


def _stream(aws: Cloud) -> list[dict[str, Any]]:
    streams = boto3.client("dynamodbstreams")
    (stream,) = streams.list_streams(TableName=JOBS)["Streams"]
    shard = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"][0]
    start = streams.get_shard_iterator(
        StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )
    records: list[dict[str, Any]] = streams.get_records(ShardIterator=start["ShardIterator"])["Records"]
    return records


def _size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them: names, texts, about a byte for two digits, one for a flag."""

    def size(value: Mapping[str, Any]) -> int:
        ((kind, content),) = value.items()
        if kind == "S":
            return len(content.encode())
        if kind == "N":
            return len(content) // 2 + 2
        if kind == "L":
            return 3 + sum(1 + size(each) for each in content)
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + size(each) for name, each in content.items())
        return 1

    return sum(len(name.encode()) + size(value) for name, value in item.items())
