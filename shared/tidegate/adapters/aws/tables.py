"""One DynamoDB table: its requests, their limits, and their refusals as values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import Unavailable

from .attributes import Item
from .clients import Clients, code_of, request, was_retried
from .keys import Key

GET_LIMIT = 100
WRITE_LIMIT = 25
TRANSACTION_LIMIT = 100
"""Keys, writes and actions that DynamoDB takes in one request."""

_TRIES = 6
_FIRST_PAUSE_SECONDS = 0.025

T = TypeVar("T")


class Refused(NamedTuple):
    """A condition did not hold: the item as it is (None: absent), and whether the request had been sent before."""

    image: Item | None
    retried: bool


class NotInserted(NamedTuple):
    """An item was not put: its key is taken, or its part of the request failed."""

    perhaps_before: bool
    """An earlier sending of the same request may have put it."""


class Slice(NamedTuple):
    """Part of a query's answer; `last` is the place of the last item looked at, None at the end."""

    items: Sequence[Item]
    last: Item | None


class Table:
    """Access to one table. Every method may raise Unavailable."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self.parallel = clients.parallel
        self.name = name

    def get(self, key: Key) -> Item | None:
        """The item as last written."""
        answer = request(self._clients.dynamodb.get_item, TableName=self.name, Key=place(key), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def get_many(self, keys: Iterable[Key]) -> Mapping[Key, Item]:
        """The items that exist, as last written."""
        wanted = list(dict.fromkeys(keys))
        if len(wanted) == 1:
            item = self.get(wanted[0])
            return {} if item is None else {wanted[0]: item}
        found: dict[Key, Item] = {}
        for chunk in chunks(wanted, GET_LIMIT):
            left: list[Item] = [place(key) for key in chunk]
            for pause in pauses():
                items, left = self._batch_get(left)
                found.update(((item["pk"]["S"], item["sk"]["S"]), item) for item in items)
                if not left:
                    break
                pause()
        return found

    def put(self, item: Item, **condition: Any) -> Refused | None:
        """Put an item if the condition holds."""
        answer = self._conditional(self._clients.dynamodb.put_item, Item=item, **condition)
        return answer if isinstance(answer, Refused) else None

    def update(self, key: Key, **update: Any) -> Item | Refused:
        """Update an item if the condition holds; answers the item as it is then."""
        answer = self._conditional(self._clients.dynamodb.update_item, Key=place(key), ReturnValues="ALL_NEW", **update)
        if isinstance(answer, Refused):
            return answer
        item: Item = answer["Attributes"]
        return item

    def delete(self, key: Key, **condition: Any) -> Refused | None:
        """Delete an item if the condition holds."""
        answer = self._conditional(self._clients.dynamodb.delete_item, Key=place(key), **condition)
        return answer if isinstance(answer, Refused) else None

    def write_many(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Put or delete items without a condition: for writes that do no harm when done again."""
        for chunk in chunks(requests, WRITE_LIMIT):
            left: Sequence[Mapping[str, Any]] = chunk
            for pause in pauses():
                answer = request(self._clients.dynamodb.batch_write_item, RequestItems={self.name: left})
                left = answer.get("UnprocessedItems", {}).get(self.name, [])
                if not left:
                    break
                pause()

    def transact(self, actions: Sequence[Mapping[str, Mapping[str, Any]]]) -> Sequence[Refused | None] | None:
        """All actions or none. Answers None once done, else each action's refusal, None for those that held.

        botocore gives every call one ClientRequestToken, so that a call it repeats is applied once
        (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html).
        """
        items = [
            {
                kind: {"TableName": self.name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD", **action}
                for kind, action in each.items()
            }
            for each in actions
        ]
        for pause in pauses():
            try:
                request(self._clients.dynamodb.transact_write_items, TransactItems=items)
            except ClientError as error:
                refusals = _refusals(error)
                if any(refusals):
                    return refusals
                pause()
            else:
                return None
        raise AssertionError("pauses() raises before it ends")

    def insert(self, items: Sequence[Item]) -> Sequence[NotInserted | None]:
        """Put up to 25 items in one request, each only if its key is free.

        Answers None for each that was put.
        """
        statements = [_insertion(self.name, item) for item in items]
        answer = request(self._clients.dynamodb.batch_execute_statement, Statements=statements)
        codes = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
        unsure = was_retried(answer)
        return [None if code is None else NotInserted(unsure or code == "InternalServerError") for code in codes]

    def slice(self, limit: int, *, after: Item | None = None, **query: Any) -> Slice:
        """Up to `limit` items of one partition, before any filter is applied to them."""
        start = {} if after is None else {"ExclusiveStartKey": after}
        answer = request(self._clients.dynamodb.query, TableName=self.name, Limit=limit, **start, **query)
        return Slice(answer["Items"], answer.get("LastEvaluatedKey"))

    def scan(self, limit: int, *, after: Item | None = None, **scan: Any) -> Slice:
        """Up to `limit` items of all partitions, before any filter is applied to them."""
        start = {} if after is None else {"ExclusiveStartKey": after}
        answer = request(self._clients.dynamodb.scan, TableName=self.name, Limit=limit, **start, **scan)
        return Slice(answer["Items"], answer.get("LastEvaluatedKey"))

    def query(self, limit: int | None = None, **query: Any) -> list[Item]:
        """The first `limit` items of one partition, or all of them."""
        found: list[Item] = []
        after: Item | None = None
        while limit is None or len(found) < limit:
            part = self.slice(1_000 if limit is None else limit - len(found), after=after, **query)
            found += part.items
            after = part.last
            if after is None:
                break
        return found

    def _batch_get(self, keys: list[Item]) -> tuple[list[Item], list[Item]]:
        wanted = {self.name: {"Keys": keys, "ConsistentRead": True}}
        answer = request(self._clients.dynamodb.batch_get_item, RequestItems=wanted)
        left = answer.get("UnprocessedKeys", {}).get(self.name, {})
        return answer["Responses"].get(self.name, []), left.get("Keys", [])

    def _conditional(self, operation: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return request(operation, TableName=self.name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **arguments)
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return Refused(error.response.get("Item"), was_retried(error.response))


def place(key: Key) -> Item:
    """A key as DynamoDB takes it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """`items` in parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def pauses() -> Iterable[Callable[[], None]]:
    """One function per try, which waits before the next, twice as long each time; raises Unavailable at the end."""
    for number in range(_TRIES):
        yield partial(time.sleep, _FIRST_PAUSE_SECONDS * 2**number)
    raise Unavailable("AWS keeps answering with parts left undone")


def _refusals(error: ClientError) -> list[Refused | None]:
    """What was refused in a cancelled transaction; nothing where it only met another one."""
    if code_of(error) != "TransactionCanceledException":
        raise error
    reasons = error.response["CancellationReasons"]
    codes = {reason["Code"] for reason in reasons} - {"None"}
    if "ConditionalCheckFailed" in codes:
        return [
            Refused(reason.get("Item"), False) if reason["Code"] == "ConditionalCheckFailed" else None
            for reason in reasons
        ]
    if codes <= {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}:
        return []
    raise error


def _insertion(table: str, item: Item) -> Mapping[str, Any]:
    """An item as a PartiQL statement. Its names are this package's own; every value is a parameter."""
    names = ", ".join(f"'{name}': ?" for name in item)
    return {"Statement": f'INSERT INTO "{table}" VALUE {{{names}}}', "Parameters": list(item.values())}
