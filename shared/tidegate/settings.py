"""What the environment says: the settings of a home and of a worker, read from `TIDEGATE_*` variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tidegate.domain.errors import InvalidInput
from tidegate.domain.iam import IamCaller, iam_callers_from
from tidegate.domain.identity import IdentityRules, rules_from
from tidegate.domain.job import Json
from tidegate.domain.priority import Band
from tidegate.domain.queue import DEFAULT_POOL

T = TypeVar("T")
_POOL_QUEUES = frozenset({*(band.value for band in Band), "dead"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says. Either `data` (embedded) or the names of the cloud's resources."""

    stage: str = "local"
    data: Path | None = None
    synchronous: str = "NORMAL"
    jobs_table: str = ""
    registry_table: str = ""
    bucket: str = ""
    event_bus: str = ""
    """The EventBridge bus that transitions are announced on; empty if the stage has none."""
    state_machine: str = ""
    """The ARN of the state machine that supervises runs; empty where the clock alone does."""
    calls_back: bool = False
    """Whether other state machines may wait for jobs with a task token."""
    pools: Mapping[str, Mapping[str, str]]
    """Per pool the URL of each of its queues: critical, high, normal, low and dead."""
    oidc: IdentityRules | None = None
    """The issuer whose tokens are accepted beside Tidegate's own; none if it is None."""
    iam_callers: tuple[IamCaller, ...] = ()
    """Roles and users of the AWS account whose signed requests are taken."""
    lambda_pools: Mapping[str, int] = field(default_factory=dict)
    """Pools whose workers are Lambdas, with their memory in MB, as far as the process needs to know."""
    own_memory: int = 0
    """The memory of the Lambda that this process is, in MB, if it runs jobs."""
    mappings: tuple[str, ...] = ()
    """UUIDs of the event source mappings that this process lets sleep and wakes; none where they never sleep."""
    slots: int = 0
    """How many jobs may run at once, over all pools; 0 where nobody said."""

    @property
    def cloud_stage(self) -> str | None:
        """The stage whose figures CloudWatch gets; None in the embedded home."""
        return self.stage if self.data is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker needs besides."""

    pool: str
    handlers: tuple[str, ...]


def settings_from(environ: Mapping[str, str]) -> Settings:
    """The settings in `TIDEGATE_*` variables. Raises InvalidInput naming the variable at fault."""
    if data := environ.get("TIDEGATE_DATA"):
        synchronous = environ.get("TIDEGATE_SYNCHRONOUS", "NORMAL").upper()
        if synchronous not in {"NORMAL", "FULL"}:
            raise InvalidInput.field("TIDEGATE_SYNCHRONOUS", "must be NORMAL or FULL")
        pools: Mapping[str, Mapping[str, str]] = {DEFAULT_POOL: {}}
        return Settings(
            data=Path(data),
            synchronous=synchronous,
            pools=pools,
            oidc=_oidc(environ),
            slots=_whole(environ, "TIDEGATE_SLOTS"),
        )
    return Settings(
        stage=_needed(environ, "TIDEGATE_STAGE"),
        jobs_table=_needed(environ, "TIDEGATE_JOBS_TABLE"),
        registry_table=_needed(environ, "TIDEGATE_REGISTRY_TABLE"),
        bucket=_needed(environ, "TIDEGATE_BUCKET"),
        event_bus=environ.get("TIDEGATE_EVENT_BUS", ""),
        state_machine=environ.get("TIDEGATE_STATE_MACHINE", ""),
        calls_back=environ.get("TIDEGATE_CALLS_BACK", "") == "1",
        pools=_pools(_needed(environ, "TIDEGATE_POOLS")),
        oidc=_oidc(environ),
        iam_callers=_json(environ, "TIDEGATE_IAM", iam_callers_from) or (),
        slots=_whole(environ, "TIDEGATE_SLOTS"),
        lambda_pools=_lambda_pools(environ),
        own_memory=_whole(environ, "TIDEGATE_MEMORY"),
        mappings=_listed(environ, "TIDEGATE_MAPPINGS"),
    )


def worker_settings_from(environ: Mapping[str, str], pools: Mapping[str, object]) -> WorkerSettings:
    """The worker's settings in `TIDEGATE_POOL` and `TIDEGATE_HANDLERS`. Raises InvalidInput."""
    pool = environ.get("TIDEGATE_POOL", DEFAULT_POOL)
    if pool not in pools:
        raise InvalidInput.field("TIDEGATE_POOL", f"must be one of {', '.join(sorted(pools))}")
    handlers = tuple(part.strip() for part in environ.get("TIDEGATE_HANDLERS", "").split(",") if part.strip())
    return WorkerSettings(pool=pool, handlers=handlers)


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise InvalidInput.field(name, "must be set (or TIDEGATE_DATA for the embedded home)")
    return value


def _oidc(environ: Mapping[str, str]) -> IdentityRules | None:
    return _json(environ, "TIDEGATE_OIDC", rules_from)


def _json(environ: Mapping[str, str], name: str, read: Callable[[Json], T]) -> T | None:
    """What `read` makes of the JSON in a variable; None where it is not set."""
    text = environ.get(name, "")
    try:
        return read(json.loads(text)) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidInput.field(name, "must be JSON") from error
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error.message}", **error.details) from error


def _listed(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part for part in environ.get(name, "").split(",") if part)


def _lambda_pools(environ: Mapping[str, str]) -> Mapping[str, int]:
    """Each `pool=MB` of a list."""
    listed = [part.partition("=") for part in _listed(environ, "TIDEGATE_LAMBDA_POOLS")]
    return {pool: _whole({"TIDEGATE_LAMBDA_POOLS": memory}, "TIDEGATE_LAMBDA_POOLS") for pool, _, memory in listed}


def _whole(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "0")
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput.field(name, "must be a whole number")
    return int(text)


def _pools(text: str) -> Mapping[str, Mapping[str, str]]:
    try:
        pools = json.loads(text)
        complete = bool(pools) and all(set(queues) >= _POOL_QUEUES for queues in pools.values())
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput.field("TIDEGATE_POOLS", "must be a JSON object of pools") from error
    if not complete:
        raise InvalidInput.field("TIDEGATE_POOLS", f"each pool must have the queues {', '.join(sorted(_POOL_QUEUES))}")
    found: Mapping[str, Mapping[str, str]] = pools
    return found
