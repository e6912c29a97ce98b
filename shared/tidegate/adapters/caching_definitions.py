"""Definitions, remembered: a version never changes, the latest one rarely."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.domain.definition import Definition
from tidegate.domain.job import Ms
from tidegate.ports import Definitions

_REMEMBERED = 1_000


class CachedDefinitions:
    """`Definitions` that answers `get` from memory: versions for good, the latest for `seconds`.

    A version added here is seen here at once; that there is none is not remembered.
    """

    def __init__(self, definitions: Definitions, now: Callable[[], Ms], seconds: float) -> None:
        self._definitions = definitions
        self._now = now
        self._lifetime = round(seconds * 1000)
        self._seen: dict[tuple[str, str, int | None], tuple[Ms, Definition]] = {}

    def get(self, tenant: str, name: str, version: int | None = None) -> Definition | None:
        """See `Definitions.get`; the latest version up to `seconds` late."""
        now, key = self._now(), (tenant, name, version)
        found = self._seen.get(key)
        if found is not None and (version is not None or 0 <= now - found[0] < self._lifetime):
            return found[1]
        definition = self._definitions.get(tenant, name, version)
        if definition is not None:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key] = (now, definition)
        return definition

    def list(self, tenant: str) -> Sequence[Definition]:
        """See `Definitions.list`."""
        return self._definitions.list(tenant)

    def add(self, definition: Definition) -> bool:
        """See `Definitions.add`. Also after a refusal the latest version is read anew."""
        self._seen.pop((definition.tenant, definition.name, None), None)
        return self._definitions.add(definition)
