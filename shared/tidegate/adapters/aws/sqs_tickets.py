"""Tickets on SQS: four standard queues per pool, one per band."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, cycle
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import NotFound
from tidegate.domain.priority import Band
from tidegate.domain.ticket import Ticket, encode
from tidegate.ports import Delivery, Depth

from .clients import Clients, code_of, request
from .tables import chunks, pauses

SLICE_SECONDS = 2
"""One long poll: well under the client's read time-out, and so that no band is left unseen for long."""
MAX_VISIBILITY_SECONDS = 43_200
_FAIR_EVERY = 8
"""One receipt in so many begins with a lesser band, each of them in turn: no tenant's urgent jobs, however many, keep
another's from being seen. Of one lane the best job starts in any case, whichever ticket is received."""
_BATCH = 10
"""Entries that SQS takes in one request."""
_GONE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"})
"""How SQS says that a receipt is no longer current, or that a message was held for 12 hours already."""

_TRACE = "_X_AMZN_TRACE_ID"
"""Where Lambda says in which trace of X-Ray it runs; a ticket takes it along, so that its worker is in the same."""
_HEADER = "AWSTraceHeader"
Entry = Mapping[str, Any]


class SqsTickets:
    """`Tickets` on SQS. `pools` has the queue URLs of each pool by band; other names, such as `dead`, are passed over.

    A ticket's message group is its tenant: fair queues keep a busy tenant from delaying the others
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html).
    """

    def __init__(self, clients: Clients, pools: Mapping[str, Mapping[str, str]]) -> None:
        self._clients = clients
        self._urls = {(pool, band): urls[band.value] for pool, urls in pools.items() for band in Band}
        self._by_source = {source_of(url): url for url in self._urls.values()}
        self._receipts = count(1)

    def send(self, tickets: Sequence[tuple[Ticket, float]]) -> None:
        """See `Tickets.send`. Raises NotFound, before anything is sent, for a pool that is not deployed."""
        by_url: dict[str, list[Entry]] = {}
        for ticket, seconds in tickets:
            by_url.setdefault(self._url(ticket.pool, ticket.band), []).append(_message(ticket, seconds))
        for url, entries in by_url.items():
            self._batches(self._clients.sqs.send_message_batch, url, entries)

    def receive(self, pool: str, limit: int, wait: float) -> Sequence[Delivery]:
        """See `Tickets.receive`: one look at each band, then long polls of the bands in turn.

        One receipt in eight begins with a lesser band.
        """
        for url, seconds in self._polls(pool, wait):
            if found := self._poll(url, limit, seconds):
                return found
        return []

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        """See `Tickets.finish`."""
        by_source: dict[str, list[Entry]] = {}
        for delivery in deliveries:
            by_source.setdefault(delivery.source, []).append({"ReceiptHandle": delivery.receipt})
        for source, entries in by_source.items():
            self._batches(self._clients.sqs.delete_message_batch, self._by_source[source], entries, done=_GONE)

    def again(self, delivery: Delivery, seconds: float) -> None:
        """See `Tickets.again`. A receipt that is no longer current is left alone."""
        try:
            request(
                self._clients.sqs.change_message_visibility,
                QueueUrl=self._by_source[delivery.source],
                ReceiptHandle=delivery.receipt,
                VisibilityTimeout=min(max(0, math.ceil(seconds)), MAX_VISIBILITY_SECONDS),
            )
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise

    def depth(self, pool: str) -> Mapping[Band, Depth]:
        """See `Tickets.depth`."""
        return {band: self._depth(self._url(pool, band)) for band in Band}

    def visible(self, pool: str, most: int) -> int:
        """See `Tickets.visible`."""
        return min(most, sum(depth.visible for depth in self.depth(pool).values()))

    def _url(self, pool: str, band: Band) -> str:
        try:
            return self._urls[pool, band]
        except KeyError:
            raise NotFound(f"there is no pool named {pool}", pool=pool) from None

    def _polls(self, pool: str, wait: float) -> Iterator[tuple[str, int]]:
        """Which queue to ask next, and how many seconds to wait there."""
        end = time.monotonic() + wait
        urls = [self._url(pool, band) for band in self._order()]
        yield from ((url, 0) for url in urls)
        for url in cycle(urls):
            left = end - time.monotonic()
            if left < 1:
                break
            yield url, min(int(left), SLICE_SECONDS)
        if (left := end - time.monotonic()) > 0:  # SQS waits for whole seconds only
            time.sleep(left)
            yield from ((url, 0) for url in urls)

    def _order(self) -> list[Band]:
        """The bands, best first; now and then with another one before them."""
        bands, (turn, rest) = list(Band), divmod(next(self._receipts), _FAIR_EVERY)
        if rest:
            return bands
        first = bands[1 + turn % (len(bands) - 1)]
        return [first, *(band for band in bands if band is not first)]

    def _poll(self, url: str, limit: int, seconds: int) -> list[Delivery]:
        answer = request(
            self._clients.sqs.receive_message,
            QueueUrl=url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        source = source_of(url)
        return [
            Delivery(each["Body"], source, each["ReceiptHandle"], int(each["Attributes"]["ApproximateReceiveCount"]))
            for each in answer.get("Messages", ())
        ]

    def _depth(self, url: str) -> Depth:
        names = ("", "NotVisible", "Delayed")
        attributes = [f"ApproximateNumberOfMessages{name}" for name in names]
        answer = request(self._clients.sqs.get_queue_attributes, QueueUrl=url, AttributeNames=attributes)
        return Depth(*(int(answer["Attributes"][attribute]) for attribute in attributes))

    def _batches(
        self, operation: Callable[..., Any], url: str, entries: Sequence[Entry], done: frozenset[str] = frozenset()
    ) -> None:
        """Send all entries, ten at a time, and those that failed in passing again. `done` are errors that are none."""
        for chunk in chunks(entries, _BATCH):
            left = [{"Id": str(number), **entry} for number, entry in enumerate(chunk)]
            for pause in pauses():
                answer = request(operation, QueueUrl=url, Entries=left)
                again = set(_failed_in_passing(answer.get("Failed", ()), done))
                left = [entry for entry in left if entry["Id"] in again]
                if not left:
                    break
                pause()


def source_of(url_or_arn: str) -> str:
    """The queue's name, as `Delivery.source` has it, from its URL or ARN."""
    return url_or_arn.replace("/", ":").rpartition(":")[2]


def _message(ticket: Ticket, seconds: float) -> Entry:
    delay = max(0, math.ceil(seconds))
    message = {"MessageBody": encode(ticket), "MessageGroupId": ticket.tenant, "DelaySeconds": delay}
    trace = os.environ.get(_TRACE, "")
    return message if "Sampled=1" not in trace else {**message, "MessageSystemAttributes": {_HEADER: _text(trace)}}


def _text(value: str) -> Mapping[str, str]:
    return {"DataType": "String", "StringValue": value}


def _failed_in_passing(failures: Iterable[Mapping[str, Any]], done: frozenset[str]) -> Iterator[str]:
    """The ids of entries to send again; raises ValueError for one that SQS will never take."""
    for failure in failures:
        if failure["Code"].rpartition(".")[2] in done:
            continue
        if failure["SenderFault"]:
            raise ValueError(f"SQS refused an entry: {failure['Code']}: {failure.get('Message', '')}")
        yield failure["Id"]
