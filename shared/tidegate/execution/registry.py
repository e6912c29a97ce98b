"""Executors: the functions that run jobs, found by name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tidegate.domain.errors import InvalidInput
from tidegate.domain.queue import check_name

from .context import JobContext

Run = Callable[[JobContext], Any]
CleanUp = Callable[[JobContext], object]
F = TypeVar("F", bound=Run)
ON_CANCEL_SECONDS = 30.0
ENTRY_POINT_GROUP = "tidegate.executors"


@dataclass(frozen=True, slots=True)
class Executor:
    """A registered function. `timeout` is seconds an attempt may take, besides the job's own limit.

    `on_cancel` is called when a started job is cancelled, and may take `on_cancel_timeout` seconds.
    """

    name: str
    run: Run
    timeout: float | None = None
    on_cancel: CleanUp | None = None
    on_cancel_timeout: float = ON_CANCEL_SECONDS

    @property
    def origin(self) -> str:
        """Where the function was written."""
        return f"{self.run.__module__}.{self.run.__qualname__}"


_registered: dict[str, Executor] = {}


def executor(
    name: str,
    *,
    timeout: float | None = None,
    on_cancel: CleanUp | None = None,
    on_cancel_timeout: float = ON_CANCEL_SECONDS,
) -> Callable[[F], F]:
    """Register a function as the executor of the jobs called `name`; the function itself stays as it is.

    `timeout`: seconds an attempt may take at most. `on_cancel`: a function that cleans up after a job that was
    cancelled while it ran; it gets the job as its handler does and may take `on_cancel_timeout` seconds.
    Raises InvalidInput for a bad name, a time-out that is not positive, or a name that another function has already.
    """
    check_name("name", name)
    for field, seconds in (("timeout", timeout), ("on_cancel_timeout", on_cancel_timeout)):
        if seconds is not None and seconds <= 0:
            raise InvalidInput.field(field, "must be more than 0 seconds")

    def register(run: F) -> F:
        made = Executor(name, run, timeout, on_cancel, on_cancel_timeout)
        before = _registered.get(name)
        if before is not None and before.origin != made.origin:
            raise InvalidInput.field("name", f"'{name}' is taken by {before.origin}")
        _registered[name] = made
        return run

    return register


def load_executors(sources: Iterable[str]) -> Mapping[str, Executor]:
    """Import modules (`package.module`) or files (`path/to/handlers.py`) and answer all that is registered.

    Installed packages' entry points of the group `tidegate.executors` are loaded too.
    Raises InvalidInput when a source cannot be found; errors inside a source are raised as they are.
    """
    from importlib.metadata import entry_points  # slow to import, and a Lambda's start is paid for

    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        entry_point.load()
    for source in sources:
        _load(source.strip())
    return dict(_registered)


def _load(source: str) -> None:
    if not source.endswith(".py"):
        if importlib.util.find_spec(source.partition(".")[0]) is None:
            raise InvalidInput.field("handlers", f"there is no module '{source}'")
        importlib.import_module(source)
        return
    path = Path(source).resolve()
    if not path.is_file():
        raise InvalidInput.field("handlers", f"there is no file '{source}'")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    if path.stem in sys.modules and getattr(sys.modules[path.stem], "__file__", None) == str(path):
        return
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InvalidInput.field("handlers", f"'{source}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
