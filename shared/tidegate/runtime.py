"""The one composition root: settings → App. Nothing else knows which adapters are in use."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.adapters.caching import remembering
from tidegate.adapters.system import now_ms, uuid7
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job, Ms
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.execution import tracing
from tidegate.execution.correlating import mark_log_lines
from tidegate.ports import EventStream, Feed, Issuer, Ports
from tidegate.settings import Settings, settings_from

if TYPE_CHECKING:
    from tidegate.execution.registry import Executor
    from tidegate.execution.runner import Runner
    from tidegate.execution.tally import Tally

EMBEDDED_LEASE_SECONDS = 10.0
CLOUD_LEASE_SECONDS = 60.0
_EMBEDDED_POLICY_SECONDS = 0.5
_CLOUD_POLICY_SECONDS = 5.0
CLOUD_HEAD_MS = 150
"""Less than the index lags behind its table, and than a ticket needs to reach a worker."""
FILE_NAME = "tidegate.db"


@dataclass(frozen=True, slots=True, eq=False)
class App:
    """A home, put together. Equal only to itself."""

    ports: Ports
    settings: Settings
    feed: Feed | None = None
    """The embedded home's change feed; in the cloud DynamoDB Streams calls `functions/changes` itself."""
    stream: EventStream | None = None
    """The embedded home's newest events; in the cloud they are on the event bus alone."""
    issuer: Issuer | None = None
    """Whose tokens are accepted beside Tidegate's own."""


def settings_of_stack(name: str) -> Settings:
    """The settings of a deployed stack, read from its outputs with the AWS credentials at hand.

    Raises NotFound when there is no such stack, InvalidInput when it is not one of Tidegate's.
    """
    from tidegate.adapters.aws.stack import stack_outputs

    outputs = stack_outputs(name)
    missing = [output for output in _STACK_OUTPUTS.values() if output not in outputs]
    if missing:
        raise InvalidInput.field("stack", f"'{name}' lacks the outputs {', '.join(missing)}: is it Tidegate's?")
    return settings_from({variable: outputs[output] for variable, output in _STACK_OUTPUTS.items()})


_STACK_OUTPUTS: Mapping[str, str] = {
    "TIDEGATE_STAGE": "Stage",
    "TIDEGATE_JOBS_TABLE": "JobsTable",
    "TIDEGATE_REGISTRY_TABLE": "RegistryTable",
    "TIDEGATE_BUCKET": "Bucket",
    "TIDEGATE_POOLS": "Pools",
}


def build(settings: Settings) -> App:
    """The App that the settings describe."""
    if settings.data is not None:
        home = embedded(settings.data, synchronous=settings.synchronous)
        return replace(home, settings=settings, issuer=_issuer(settings))
    from tidegate.adapters.aws.ports import open_ports

    ports = open_ports(
        jobs_table=settings.jobs_table,
        registry_table=settings.registry_table,
        bucket=settings.bucket,
        pools=settings.pools,
        now=now_ms,
        new_id=uuid7,
        rng=random.SystemRandom(),
        event_bus=settings.event_bus,
        state_machine=settings.state_machine,
        calls_back=settings.calls_back,
        lambda_pools=settings.lambda_pools,
        own_memory=settings.own_memory,
        mappings=settings.mappings,
        policy_seconds=_CLOUD_POLICY_SECONDS,
        head_ms=CLOUD_HEAD_MS,
    )
    return App(ports, settings, issuer=_issuer(settings))


def embedded(
    folder: Path,
    *,
    synchronous: str = "NORMAL",
    now: Callable[[], Ms] = now_ms,
    new_id: Callable[[], str] = uuid7,
    rng: random.Random | None = None,
    development: bool | None = None,
) -> App:
    """The embedded home on a folder, made when absent. Raises Unavailable when it cannot be used.

    `development` lets webhooks go to this machine, and over http; without it TIDEGATE_DEVELOPMENT=1 does.
    """
    from tidegate.adapters.sqlite.events import SqliteEvents
    from tidegate.adapters.sqlite.feed import SqliteFeed
    from tidegate.adapters.sqlite.ports import open_database, open_ports

    database = open_database(folder, synchronous)
    ports = open_ports(
        folder,
        now=now,
        new_id=new_id,
        rng=rng or random.SystemRandom(),
        visibility=EMBEDDED_LEASE_SECONDS,
        database=database,
    )
    if development is None:
        development = os.environ.get("TIDEGATE_DEVELOPMENT") == "1"
    ports = replace(remembering(ports, now, _EMBEDDED_POLICY_SECONDS), development=development)
    settings = Settings(data=folder, synchronous=synchronous, pools={DEFAULT_POOL: {}})
    return App(ports, settings, SqliteFeed(database), SqliteEvents(database))


def database_file(folder: Path) -> Path:
    """The embedded home's database in its folder."""
    return folder / FILE_NAME


def back_up(settings: Settings, target: str, told: Callable[[int, int], object] = lambda *_: None) -> list[str]:
    """Back up a home: into the folder `target`, or in the cloud under that name; answers where, in words.

    `told` hears how many parts of how many are done, where it takes a while. Raises what the home's adapter raises.
    """
    if settings.data is not None:
        from tidegate.adapters.sqlite.backup import back_up as copy_folder

        size = copy_folder(settings.data, Path(target), told)
        return [f"{target} ({size} bytes)"]
    from tidegate.adapters.aws.backup import back_up as back_up_tables

    return list(back_up_tables([settings.jobs_table, settings.registry_table], target))


def start_tracing() -> None:
    """Let this process tell its spans, if `OTEL_*` variables say where to; nothing is imported otherwise.

    Raises InvalidInput when they ask for what is not installed.
    """
    if not tracing.asked_for(os.environ):
        return
    try:
        from tidegate.adapters.otel import tracer_from
    except ImportError as error:
        raise InvalidInput(f"OTEL_* variables ask for traces: pip install 'tidegate[otel]' ({error})") from error
    tracing.trace_with(tracer_from(os.environ))


def request_signer(url: str) -> Callable[[str, str, bytes], Mapping[str, str]]:
    """What signs requests (method, URL, body) to a deployed API with the AWS credentials at hand: their headers.

    Raises Unavailable when there are none.
    """
    from tidegate.adapters.aws.signing import RequestSigner

    return RequestSigner(url)


_current: list[App] = []


def current() -> App:
    """The App of this process, built from its environment when first asked for."""
    if not _current:
        mark_log_lines()
        _current.append(build(settings_from(os.environ)))
    return _current[-1]


@contextmanager
def use(app: App) -> Iterator[App]:
    """Make `app` the current one for a while."""
    _current.append(app)
    try:
        yield app
    finally:
        _current.remove(app)


def runner(
    app: App,
    handlers: tuple[str, ...],
    *,
    worker_id: str | None = None,
    pulling: bool = False,
    on_start: Callable[[Job], object] = lambda _: None,
    end_process: Callable[[int], None] = os._exit,
    tally: Tally | None = None,
) -> Runner:
    """A runner of the executors found in `handlers`.

    `pulling` tells that the worker receives its tickets itself, so it must keep those of long jobs out of
    sight; a Lambda's event source has a visibility time-out longer than the function may run. Embedded, workers with
    other handlers may share its pool: what it has no handler for is left to them.
    """
    from tidegate.execution.runner import Runner

    return Runner(
        app.ports,
        executors_of(app, handlers),
        worker_id=worker_id or default_worker_id(),
        lease_seconds=lease_seconds(app),
        extend_tickets=pulling,
        leaves_others=pulling and app.settings.data is not None,
        on_start=on_start,
        end_process=end_process,
        tally=tally,
    )


def executors_of(app: App, handlers: tuple[str, ...]) -> Mapping[str, Executor]:
    """The executors found in `handlers`, and Tidegate's own."""
    from tidegate.execution.registry import load_executors

    return {**load_executors(handlers), **own_executors(app.ports)}


def own_executors(ports: Ports) -> Mapping[str, Executor]:
    """The executors that every worker with access to the tables has besides its handlers."""
    from tidegate.adapters.outbound import Outbound
    from tidegate.execution.webhook import webhook_executor

    executor = webhook_executor(ports, Outbound(development=ports.development).post)
    return {executor.name: executor}


def lease_seconds(app: App) -> float:
    """How long a claim lasts without a heartbeat."""
    return CLOUD_LEASE_SECONDS if app.settings.data is None else EMBEDDED_LEASE_SECONDS


def default_worker_id() -> str:
    """A name that tells host and process, and never comes again."""
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    return f"{function or socket.gethostname()}:{os.getpid()}:{uuid7()[-6:]}"


def _issuer(settings: Settings) -> Issuer | None:
    """The configured issuer; nothing of it is imported where there is none."""
    if settings.oidc is None:
        return None
    from tidegate.adapters.https import read
    from tidegate.adapters.oidc import OidcIssuer

    return OidcIssuer(settings.oidc, now_ms, read)
