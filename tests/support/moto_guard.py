"""What moto 5.2.5 lacks to be tested against: atomic requests, PartiQL inserts, and a clock of our own.

- moto runs a conditional write in several steps, so two threads can both win one. A lock makes every request
  one step; it is given up while SQS waits for messages.
- moto cannot parse `INSERT INTO "t" VALUE {'a': ?}`. It is answered here as DynamoDB documents it: put if the
  key is free, else the error `DuplicateItem` for that statement alone.
- moto spends most of its time on names that a value does not have.
- SQS measures delays and visibility by the clock of the test.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import moto.sqs.models
from moto.core.responses import BaseResponse
from moto.core.serialize import ResponseSerializer
from moto.dynamodb.models import DynamoDBBackend
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
    patch(ResponseSerializer, "_serialize_structure_member", _present(ResponseSerializer._serialize_structure_member))
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


def _present(serialize: Callable[..., None]) -> Callable[..., None]:
    """Of the ten types that a value may have, moto looks for each, by several names: a third of its time."""

    def _serialize_structure_member(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if type(value) is not dict or key in value or shape.parent.name != "AttributeValue":
            serialize(self, serialized, value, shape, key)

    return _serialize_structure_member


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
