"""From job ids to sort keys, through the pointers of ids that are no keys themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from tidegate.ports import JobKey

from .keys import is_key, pointer_key
from .tables import Table

_REMEMBERED = 10_000


class Addresses:
    """Sort keys by id. What was found is remembered as a hint: a job may have been erased and made anew since."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._known: dict[JobKey, str] = {}

    def of(self, keys: Iterable[JobKey]) -> Mapping[JobKey, str]:
        """The sort key of each job that may exist; an id without a pointer is left out."""
        wanted = set(keys)
        with self._lock:
            found = {key: key.job_id if is_key(key.job_id) else self._known.get(key, "") for key in wanted}
        unknown = [key for key in wanted if not found[key]]
        found.update(self._look_up(unknown))
        return {key: sort_key for key, sort_key in found.items() if sort_key}

    def forget(self, keys: Iterable[JobKey]) -> list[JobKey]:
        """Drop the hints for these jobs; answers those that there were hints for."""
        with self._lock:
            return [key for key in keys if self._known.pop(key, None) is not None]

    def _look_up(self, unknown: list[JobKey]) -> Mapping[JobKey, str]:
        if not unknown:
            return {}
        items = self._table.get_many(pointer_key(*key) for key in unknown)
        found = {key: items[pointer]["key"]["S"] for key in unknown if (pointer := pointer_key(*key)) in items}
        with self._lock:
            if len(self._known) + len(found) > _REMEMBERED:
                self._known.clear()
            self._known.update(found)
        return found
