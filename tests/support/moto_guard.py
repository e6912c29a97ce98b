"""What moto 5.2.5 lacks to be tested against: atomic requests, PartiQL inserts, and a clock of our own.

- moto runs a conditional write in several steps, so two threads can both win one. A lock makes every request
  one step; it is given up while SQS waits for messages.
- moto cannot parse `INSERT INTO "t" VALUE {'a': ?}`. It is answered here as DynamoDB documents it: put if the
  key is free, else the error `DuplicateItem` for that statement alone.
- moto copies whole tables for each item of a transaction, and looks in each value for names that it does not
  have: most of its time. What a failed transaction touched is put back instead; a value is answered as it is.
- SQS measures delays and visibility by the clock of the test.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import moto.sqs.models
import pytest
from moto.core.responses import BaseResponse
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.sqs.models import Queue

_LOCK = threading.RLock()
_LONGEST_WAIT_SECONDS = 0.05
_INSERT = re.compile(r"INSERT INTO \"([^\"]+)\" VALUE \{(.*)\}")
_NAME = re.compile(r"'([^']+)': \?")


@contextmanager
def guarded_moto(now: Callable[[], int]) -> Iterator[None]:
    """moto with the lock, the inserts and the clock `now` (milliseconds)."""
    originals: list[tuple[Any, str, Any]] = []

    def patch(owner: Any, name: str, value: Any) -> None:
        originals.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    patch(BaseResponse, "_dispatch", _locked(BaseResponse._dispatch))
    patch(Queue, "wait_for_messages", _unlocked_wait(Queue.wait_for_messages))
    patch(DynamoDBBackend, "batch_execute_statement", _with_inserts(DynamoDBBackend.batch_execute_statement))
    patch(DynamoDBBackend, "transact_write_items", _undone_if_refused(DynamoDBBackend.transact_write_items))
    patch(BaseJSONSerializer, "_serialize_type_structure", _as_it_is(BaseJSONSerializer._serialize_type_structure))
    patch(moto.sqs.models, "unix_time_millis", lambda _dt=None: float(now()))
    try:
        yield
    finally:
        for owner, name, value in reversed(originals):
            setattr(owner, name, value)


@contextmanager
def given_up() -> Iterator[None]:
    """Give the lock up for a while, if this thread has it."""
    if not _LOCK._is_owned():  # type: ignore[attr-defined]
        yield
        return
    state = _LOCK._release_save()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        _LOCK._acquire_restore(state)  # type: ignore[attr-defined]


def _locked(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def _dispatch(self: Any, *arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return dispatch(self, *arguments, **named)

    return _dispatch


def _as_it_is(serialize: Callable[..., None]) -> Callable[..., None]:
    """An attribute's value is kept as the protocol writes it; moto looks for each of ten types, by several names."""

    def _serialize_type_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and type(value) is dict:
            serialized[key] = value
        else:
            serialize(self, serialized, value, shape, key)

    return _serialize_type_structure


def _undone_if_refused(transact: Callable[..., None]) -> Callable[..., None]:
    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        writes = [write for item in transact_items for write in item.values() if write.get("TableName") in self.tables]
        before = [_Before(self.tables[write["TableName"]], write.get("Key") or write["Item"]) for write in writes]
        with pytest.MonkeyPatch.context() as tables:
            tables.setattr(Table, "__deepcopy__", lambda table, _memo: table, raising=False)
            try:
                transact(self, transact_items)
            except Exception:
                for each in before:
                    each.restore()
                raise

    return transact_write_items


class _Before:
    """An item, and its table's stream, as they were."""

    def __init__(self, table: Any, attributes: Mapping[str, Any]) -> None:
        self._table = table
        self._hash = DynamoType(attributes[table.hash_key_attr])
        self._range = DynamoType(attributes[table.range_key_attr])
        found: Item | None = table.items[self._hash].get(self._range) if self._hash in table.items else None
        self._item = copy.deepcopy(found)
        self._streamed = len(table.stream_shard.items) if table.stream_shard else 0

    def restore(self) -> None:
        if self._item is not None:
            self._table.items[self._hash][self._range] = self._item
        elif self._hash in self._table.items:
            self._table.items[self._hash].pop(self._range, None)
        if self._table.stream_shard:
            del self._table.stream_shard.items[self._streamed :]


def _unlocked_wait(wait: Callable[..., None]) -> Callable[..., None]:
    def wait_for_messages(self: Any, timeout: float) -> None:
        with given_up():
            wait(self, min(timeout, _LONGEST_WAIT_SECONDS))

    return wait_for_messages


def _with_inserts(execute: Callable[..., list[dict[str, Any]]]) -> Callable[..., list[dict[str, Any]]]:
    def batch_execute_statement(self: Any, statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
        assert len(statements) <= 25, "DynamoDB takes 25 statements"
        return [_insert(self, each) or execute(self, [each])[0] for each in statements]

    return batch_execute_statement


def _insert(backend: Any, statement: Mapping[str, Any]) -> dict[str, Any] | None:
    found = _INSERT.fullmatch(statement["Statement"])
    if found is None:
        return None
    table, names = found[1], _NAME.findall(found[2])
    item = dict(zip(names, statement["Parameters"], strict=True))
    if backend.get_item(table, {"pk": item["pk"], "sk": item["sk"]}) is not None:
        return {"TableName": table, "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists"}}
    backend.put_item(table, item)
    return {"TableName": table}
