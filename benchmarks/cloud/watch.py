"""Counts what boto3's clients ask for, by hooks on the clients that the adapters use themselves."""

from __future__ import annotations

import copy
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .meter import Charge, Index, Item, entry, item_size, read_units, write_charges

KEY = ("pk", "sk")
_INSERT = re.compile(r"INSERT INTO \"([^\"]+)\" VALUE \{(.*)\}")
_SQS_CHUNK = 64 * 1024
"""SQS charges a request for each 64 KB of its messages."""

Change = tuple[str, Any, Any]
"""A change of an item of a table, which is named first: what it was, and is."""
Look = Callable[[str, str, str], Item | None]
"""The item of a table at a key, past every hook: `look(table, pk, sk)`."""


@dataclass(slots=True)
class Tally:
    """What was asked for. Requests are counted by operation, one for each that went over the wire."""

    requests: Counter[str] = field(default_factory=Counter)
    sqs_requests: int = 0
    """As SQS bills them."""
    s3_requests: int = 0
    read_units: float = 0.0
    charges: list[Charge] = field(default_factory=list)
    changes: list[tuple[str, Item | None, Item | None]] = field(default_factory=list)
    """Every change of an item, with the name of its table: what the table's stream would carry."""
    written: Counter[str] = field(default_factory=Counter)
    """How often each item was written, by its table and key; refused writes count too."""
    largest_item: int = 0
    """In bytes, of those that were written."""
    largest_transaction: int = 0
    """In actions."""

    def add(self, part: Tally) -> None:
        """Count what another has counted as well, its changes excepted."""
        self.requests.update(part.requests)
        self.sqs_requests += part.sqs_requests
        self.s3_requests += part.s3_requests
        self.read_units += part.read_units
        self.charges += part.charges
        self.written.update(part.written)
        self.largest_item = max(self.largest_item, part.largest_item)
        self.largest_transaction = max(self.largest_transaction, part.largest_transaction)

    @property
    def write_units(self) -> float:
        """All write units, of tables and indexes."""
        return sum(charge.units for charge in self.charges)

    @property
    def calls(self) -> int:
        """All requests to AWS."""
        return self.requests.total()

    def hottest(self, *, of_index: bool | None = None) -> Charge:
        """The partition key that took most write units: of all, or of those of the indexes, or of the tables."""
        units: Counter[tuple[str | None, str]] = Counter()
        for charge in self.charges:
            if of_index in (None, charge.of_index is not None):
                units[charge.of_index, charge.partition] += charge.units  # type: ignore[assignment]
        ((index, partition), most) = units.most_common(1)[0]
        return Charge(index, partition, most)


class Watch:
    """Hooks on a DynamoDB, an SQS and an S3 client. Safe with the threads that the adapters use."""

    def __init__(self, look: Look, indexes: Mapping[str, Sequence[Index]]) -> None:
        self._look = look
        self._indexes = indexes
        self._lock = threading.Lock()
        self.tally = Tally()

    def attach(self, *clients: Any) -> None:
        """Count what these clients do from now on."""
        for client in clients:
            client.meta.events.register("provide-client-params", self._before)
            client.meta.events.register("request-created", self._sent)
            client.meta.events.register("after-call", self._after)

    def take(self) -> Tally:
        """What was counted since the last time."""
        with self._lock:
            taken, self.tally = self.tally, Tally()
        return taken

    def _before(self, params: Any, model: Any, context: Any, **_: Any) -> None:
        context["tidegate_params"] = params
        if model.service_model.service_name == "dynamodb":
            context["tidegate_found"] = [
                copy.deepcopy(self._look(write.table, *write.key)) for write in _writes(model.name, params)
            ]

    def _sent(self, operation_name: str, **_: Any) -> None:
        """Once for each sending, repetitions included."""
        with self._lock:
            self.tally.requests[operation_name] += 1

    def _after(self, parsed: Any, model: Any, context: Any, **_: Any) -> None:
        params = context["tidegate_params"]
        service = model.service_model.service_name
        with self._lock:
            if service == "sqs":
                self.tally.sqs_requests += _sqs_requests(params)
            elif service == "s3":
                self.tally.s3_requests += 1
            elif service == "dynamodb":
                self._count_writes(model.name, params, context["tidegate_found"], parsed)
                self.tally.read_units += self._reads(model.name, params, parsed)

    def _count_writes(self, operation: str, params: Any, found: Sequence[Item | None], parsed: Any) -> None:
        refused = "Error" in parsed
        in_transaction = operation.startswith("Transact")
        if in_transaction:
            self.tally.largest_transaction = max(self.tally.largest_transaction, len(found))
        for write, before in zip(_writes(operation, params), found, strict=True):
            after = before if refused else copy.deepcopy(self._look(write.table, *write.key))
            indexes = self._indexes.get(write.table, ())
            charges = write_charges(before, after, indexes, KEY, tried=write.item, in_transaction=in_transaction)
            self.tally.charges += [charge._replace(partition=f"{write.table}/{charge.partition}") for charge in charges]
            self.tally.written["/".join((write.table, *write.key))] += 1
            self.tally.largest_item = max(self.tally.largest_item, item_size(after or {}))
            if before != after:
                self.tally.changes.append((write.table, before, after))

    def _reads(self, operation: str, params: Any, parsed: Any) -> float:
        match operation:
            case "GetItem":
                sizes = [item_size(parsed.get("Item", {}))]
                return read_units(sizes, consistent=params.get("ConsistentRead", False), together=False)
            case "BatchGetItem":
                return sum(self._batch_reads(table, asked) for table, asked in params["RequestItems"].items())
            case "Query":
                return self._query_reads(params, parsed)
        return 0.0

    def _batch_reads(self, table: str, asked: Any) -> float:
        sizes = [item_size(self._look(table, key["pk"]["S"], key["sk"]["S"]) or {}) for key in asked["Keys"]]
        return read_units(sizes, consistent=asked.get("ConsistentRead", False), together=False)

    def _query_reads(self, params: Any, parsed: Any) -> float:
        """Items that the filter passed over are taken to be as large as those it let through."""
        index = self._index(params)
        items = parsed.get("Items", [])
        if index is not None:
            whole = (self._look(params["TableName"], item["pk"]["S"], item["sk"]["S"]) for item in items)
            items = [entry(item, index, KEY) or {} for item in whole]
        sizes = [item_size(item) for item in items]
        if sizes:
            sizes = [sum(sizes) * parsed.get("ScannedCount", len(sizes)) // len(sizes)]
        return read_units(sizes, consistent=params.get("ConsistentRead", False), together=True)

    def _index(self, params: Any) -> Index | None:
        name = params.get("IndexName")
        if name is None:
            return None
        return next(index for index in self._indexes[params["TableName"]] if index.name == name)


@dataclass(frozen=True, slots=True)
class _Write:
    table: str
    key: tuple[str, str]
    item: Item | None = None
    """What a put would store."""


def _writes(operation: str, params: Any) -> list[_Write]:
    """The items that a request writes."""
    return list(_each_write(operation, params))


def _each_write(operation: str, params: Any) -> Iterator[_Write]:
    match operation:
        case "PutItem":
            yield _Write(params["TableName"], _key_of(params["Item"]), params["Item"])
        case "UpdateItem" | "DeleteItem":
            yield _Write(params["TableName"], _key_of(params["Key"]))
        case "BatchWriteItem":
            for table, requests in params["RequestItems"].items():
                for request in requests:
                    item = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
                    yield _Write(table, _key_of(item))
        case "TransactWriteItems":
            for action in params["TransactItems"]:
                ((_, body),) = action.items()
                yield _Write(body["TableName"], _key_of(body.get("Item") or body["Key"]))
        case "BatchExecuteStatement" | "ExecuteStatement":
            for statement in params.get("Statements", [params]):
                yield _insertion(statement)


def _insertion(statement: Mapping[str, Any]) -> _Write:
    found = _INSERT.fullmatch(statement["Statement"])
    if found is None:
        raise ValueError(f"a statement that is not known to the meter: {statement['Statement']}")
    names = re.findall(r"'([^']+)': \?", found[2])
    item = dict(zip(names, statement["Parameters"], strict=True))
    return _Write(found[1], _key_of(item), item)


def _key_of(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _sqs_requests(params: Mapping[str, Any]) -> int:
    bodies = [entry.get("MessageBody", "") for entry in params.get("Entries", [])]
    size = sum(len(body.encode()) for body in bodies)
    return max(1, -(-size // _SQS_CHUNK))
