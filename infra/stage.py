"""The settings of one stage, read from the context of `cdk.json` and checked field by field."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tidegate.domain.errors import InvalidInput
from tidegate.domain.iam import iam_callers_from
from tidegate.domain.identity import rules_from

T = TypeVar("T", int, str)

ALARMS = ("few", "all")
RUNBOOK = "docs/operations.md"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Periods that CloudWatch Logs accepts (PutRetentionPolicy).
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653,
)  # fmt: skip
# Functions carry the URLs of all queues in their environment, which Lambda limits to 4 KB; a pool takes up to 630.
MAX_POOLS = 5
# A stage that sleeps has the ids of what polls its queues there too, 185 bytes a pool.
MAX_POOLS_ASLEEP = 4
# A worker keeps the last seconds of an invocation for recording how its jobs ended, so a shorter one starts none.
LEAST_TIMEOUT = 20


_MACHINE = re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:stateMachine:[A-Za-z0-9_-]{1,80}")


class StageError(ValueError):
    """A stage in `cdk.json` is not usable; the message names the field and what it should hold."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"cdk.json: {field}: {problem}")
        self.field = field


@dataclass(frozen=True)
class PoolConfig:
    """One pool: four priority queues, their dead-letter queue, and the worker that serves them.

    Attributes:
        name: what queues name as their pool; lower-case letters, digits and hyphens.
        slots: how many workers may run at once on each priority queue, 2–1000 (the range of `MaximumConcurrency`).
        memory: of the worker, in MB, 128–10240.
        timeout: of one worker invocation, in seconds, 20–900.
        handlers: the user's handlers, each a Python file or a package folder; none for a pool without a Lambda, whose
            jobs run on machines that pull them (`[]` in `cdk.json`).
        requirements: the user's own requirements file, bundled with the worker.
        files: data files and folders that lie beside the handlers in the worker, as they do in the checkout.
        oldest_alarm_seconds: the age of the oldest waiting ticket that raises an alarm.
    """

    name: str
    slots: int
    memory: int
    timeout: int
    handlers: tuple[Path, ...]
    requirements: Path | None
    files: tuple[Path, ...]
    oldest_alarm_seconds: int


@dataclass(frozen=True)
class StageConfig:
    """One deployment of Tidegate.

    Attributes:
        name: of the stage; part of every name in the stack.
        pools: at least the pool `default`.
        alarm_email: who is subscribed to the alarms; None leaves the topic without a subscriber.
        log_retention_days: how long every log group keeps its events.
        log_level: of every function.
        customer_key: encrypt everything with a KMS key of the account instead of keys that AWS owns.
        keep_data: tables, bucket and key outlive a deleted stack, and tables refuse to be deleted.
        api_rate: requests a second that the API lets through.
        api_burst: requests that it lets through at once.
        authorizer_cache_seconds: how long API Gateway remembers what the authorizer answered, 0–3600: for so long a
            revoked token may still be taken. 0 asks it for every request.
        oidc: the issuer whose tokens are accepted beside Tidegate's own, as `TIDEGATE_OIDC` has it; None for no other.
        iam_callers: roles and users of the account whose signed requests are taken under `/iam`, and for whom: objects
            of `principal`, `tenant`, `user` and `scopes`. None of them, no such routes.
        alarms: `few`: the clock, the change feed, the API and each worker; `all`: everything that can go wrong. Each
            costs $0.10 a month.
        dashboard: whether there is one, $3 a month.
        tracing: whether functions write X-Ray traces, $5 a million of them.
        runbook: where the operations guide is found, for the links in alarms; a path of the repository or an address.
        sleep: let Lambda poll no queue while nothing was submitted for three hours, which saves $1.30 a month for each
            pool; the first job after that waits up to two minutes.
        waiting_machines: ARNs of your own state machines whose tasks may wait for the ends of jobs and runs.
        events: announce every transition of every job on an EventBridge bus, $1 a million events: $3 a million jobs.
    """

    name: str
    pools: tuple[PoolConfig, ...]
    alarm_email: str | None
    log_retention_days: int
    log_level: str
    customer_key: bool
    keep_data: bool
    api_rate: int
    api_burst: int
    authorizer_cache_seconds: int
    oidc: Mapping[str, Any] | None
    iam_callers: Sequence[Mapping[str, Any]]
    alarms: str
    dashboard: bool
    tracing: bool
    runbook: str
    sleep: bool
    waiting_machines: Sequence[str]
    events: bool

    @classmethod
    def from_context(cls, name: str, stages: object, root: Path) -> StageConfig:
        """Read the stage `name` out of the `stages` of `cdk.json`.

        Args:
            name: the stage to read.
            stages: the value of the context key `stages`.
            root: the folder that paths in the file are relative to.

        Raises:
            StageError: the stage is unknown, or a field is missing, unknown, or holds something unusable.
        """
        known = _mapping(stages, "stages")
        if name not in known:
            raise StageError("stages", f"there is no stage {name!r}; known: {', '.join(sorted(known))}")
        fields = _Fields(known[name], f"stages.{name}")
        _slug(name, "stages", longest=16)
        stage = cls(
            name=name,
            pools=_pools(fields.take("pools"), fields.at("pools"), root),
            alarm_email=fields.email("alarm_email"),
            log_retention_days=fields.choice("log_retention_days", RETENTION_DAYS, 30),
            log_level=fields.choice("log_level", LOG_LEVELS, "INFO"),
            customer_key=fields.flag("customer_key", False),
            keep_data=fields.flag("keep_data", True),
            api_rate=fields.whole("api_rate", 1, 10_000, 500),
            api_burst=fields.whole("api_burst", 1, 5_000, 1_000),
            authorizer_cache_seconds=fields.whole("authorizer_cache_seconds", 0, 3_600, 60),
            oidc=_oidc(fields.take("oidc", None), fields.at("oidc")),
            iam_callers=_iam_callers(fields.take("iam_callers", []), fields.at("iam_callers")),
            alarms=fields.choice("alarms", ALARMS, "few"),
            dashboard=fields.flag("dashboard", False),
            tracing=fields.flag("tracing", False),
            runbook=fields.text("runbook", RUNBOOK),
            sleep=fields.flag("sleep", False),
            waiting_machines=_machines(fields.take("waiting_machines", []), fields.at("waiting_machines")),
            events=fields.flag("events", True),
        )
        fields.refuse_unknown()
        if stage.sleep and len(stage.pools) > MAX_POOLS_ASLEEP:
            raise StageError(fields.at("sleep"), f"a stage of more than {MAX_POOLS_ASLEEP} pools cannot sleep")
        return stage


def _oidc(value: object, field: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    try:
        rules_from(value)
    except InvalidInput as error:
        raise StageError(field, error.message) from error
    return _mapping(value, field)


def _iam_callers(value: object, field: str) -> Sequence[Mapping[str, Any]]:
    try:
        iam_callers_from(value)
    except InvalidInput as error:
        raise StageError(field, error.message) from error
    return value if isinstance(value, list) else []


def _machines(value: object, field: str) -> Sequence[str]:
    arns: list[str] = []
    for arn in value if isinstance(value, list) else [value]:
        if not isinstance(arn, str) or not _MACHINE.fullmatch(arn):
            raise StageError(field, f"expected ARNs of state machines, got {arn!r}")
        arns.append(arn)
    return arns


def _pools(value: object, field: str, root: Path) -> tuple[PoolConfig, ...]:
    pools = _mapping(value, field)
    if "default" not in pools:
        raise StageError(field, "the pool 'default' is missing; queues without a pool of their own use it")
    if len(pools) > MAX_POOLS:
        raise StageError(field, f"at most {MAX_POOLS} pools fit a Lambda environment, got {len(pools)}")
    return tuple(_pool(name, pools[name], field, root) for name in pools)


def _pool(name: str, value: object, field: str, root: Path) -> PoolConfig:
    _slug(name, field, longest=20)
    fields = _Fields(value, f"{field}.{name}")
    pool = PoolConfig(
        name=name,
        slots=fields.whole("slots", 2, 1000, None),
        memory=fields.whole("memory", 128, 10_240, 512),
        timeout=fields.whole("timeout", LEAST_TIMEOUT, 900, 60),
        handlers=_handlers(fields.take("handlers"), fields.at("handlers"), root),
        requirements=_requirements(fields.take("requirements", None), fields.at("requirements"), root),
        files=_files(fields.take("files", []), fields.at("files"), root),
        oldest_alarm_seconds=fields.whole("oldest_alarm_seconds", 60, 1_209_600, 3_600),
    )
    fields.refuse_unknown()
    return pool


def _handlers(value: object, field: str, root: Path) -> tuple[Path, ...]:
    if value == []:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise StageError(field, f"expected the path of a Python file or package, or a list of them, got {value!r}")
    paths = tuple(root / name for name in names)
    for path in paths:
        if not (path.suffix == ".py" and path.is_file()) and not (path / "__init__.py").is_file():
            raise StageError(field, f"{path} is neither a Python file nor a folder with an __init__.py")
    return paths


def _requirements(value: object, field: str, root: Path) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not (root / value).is_file():
        raise StageError(field, f"expected the path of a requirements file or null, got {value!r}")
    return root / value


def _files(value: object, field: str, root: Path) -> tuple[Path, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise StageError(field, f"expected a list of paths, got {value!r}")
    for name in value:
        if not (root / name).exists():
            raise StageError(field, f"there is no {name}")
    return tuple(root / name for name in value)


def _mapping(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise StageError(field, f"expected an object with at least one entry, got {value!r}")
    return value


def _slug(name: str, field: str, longest: int) -> None:
    if not re.fullmatch(rf"[a-z][a-z0-9-]{{0,{longest - 1}}}", name):
        raise StageError(
            field, f"{name!r} is not a name: lower-case letters, digits, hyphens, at most {longest}, a letter first"
        )


class _Fields:
    """The fields of one object of `cdk.json`, taken one by one, so that what is left over is unknown."""

    def __init__(self, value: object, path: str) -> None:
        self._left = dict(_mapping(value, path))
        self._path = path

    def at(self, name: str) -> str:
        return f"{self._path}.{name}"

    def take(self, name: str, *default: object) -> object:
        if name not in self._left and not default:
            raise StageError(self.at(name), "is missing")
        return self._left.pop(name, *default)

    def whole(self, name: str, least: int, most: int, default: int | None) -> int:
        value = self.take(name) if default is None else self.take(name, default)
        if type(value) is not int or not least <= value <= most:
            raise StageError(self.at(name), f"expected a whole number from {least} to {most}, got {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise StageError(self.at(name), f"expected true or false, got {value!r}")
        return value

    def choice(self, name: str, allowed: Collection[T], default: T) -> T:
        value = self.take(name, default)
        for candidate in allowed:
            if type(value) is type(candidate) and value == candidate:
                return candidate
        raise StageError(self.at(name), f"expected one of {', '.join(map(str, allowed))}, got {value!r}")

    def text(self, name: str, default: str) -> str:
        value = self.take(name, default)
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,200}", value):
            raise StageError(self.at(name), f"expected a text of 1 to 200 characters without spaces, got {value!r}")
        return value

    def email(self, name: str) -> str | None:
        value = self.take(name, None)
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"[^@\s]+@[^@\s]+", value)):
            raise StageError(self.at(name), f"expected an e-mail address or null, got {value!r}")
        return value if isinstance(value, str) else None

    def refuse_unknown(self) -> None:
        if self._left:
            raise StageError(self._path, f"unknown fields: {', '.join(sorted(self._left))}")
