"""A definition: a named, versioned template that jobs are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from .errors import InvalidInput
from .job import Json, Ms
from .queue import check_name
from .spec import JobSpec, dump_json

MAX_DEFAULTS_BYTES = 32_000
"""Schema and defaults together must fit an item (400 KB in DynamoDB), twice over in one transaction."""
MAX_DAG_BYTES = 150_000
MAX_DESCRIPTION = 500
REFERENCE_RULE = "must be a definition's name, or name@version such as extract@3"
_REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:@([1-9][0-9]{0,8}))?")

OF_ONE_JOB = frozenset(
    {"job_id", "definition", "asked", "start_after", "keep_until", "soft_sla", "hard_sla", "task_token"}
)
"""What only a single job can say: its id, and points in time."""
DEFAULTS = frozenset(each.name for each in fields(JobSpec)) - OF_ONE_JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One version of a definition. A stored version never changes."""

    tenant: str
    name: str
    version: int
    schema: Json = None
    """JSON Schema (draft 2020-12) of a job's `data`; None accepts anything."""
    job: Json = field(default_factory=dict)
    """An object: fields of `JobSpec` that its jobs have unless they say otherwise."""
    dag: Json = None
    """The body of a run, where it is runs that are made from it; `schema` is then that of a run's `data`."""
    description: str = ""
    created_at: Ms = 0
    created_by: str = ""

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if len(self.description) > MAX_DESCRIPTION:
            raise InvalidInput.field("description", f"must have at most {MAX_DESCRIPTION} characters")
        for name in self.job:
            if name not in DEFAULTS:
                raise InvalidInput.field(f"job.{name}", "cannot be given for all jobs of a definition")
        if len(dump_json("job", dict(self.job)).encode()) > MAX_DEFAULTS_BYTES:
            raise InvalidInput.field("job", f"must have at most {MAX_DEFAULTS_BYTES} bytes of JSON")
        if self.dag is not None and len(dump_json("dag", self.dag).encode()) > MAX_DAG_BYTES:
            raise InvalidInput.field("dag", f"must have at most {MAX_DAG_BYTES} bytes of JSON")
        self.spec({}, None)

    @property
    def reference(self) -> str:
        """`name@version`, as a job records it."""
        return f"{self.name}@{self.version}"

    def says_the_same_as(self, other: Definition) -> bool:
        """Whether jobs, or runs, made from either would be the same."""
        return self._content == other._content

    @property
    def _content(self) -> tuple[Json, ...]:
        return self.schema, dict(self.job), self.dag, self.description

    def spec(self, given: Mapping[str, Json], asked: str | None) -> JobSpec:
        """The job that `given` (fields of `JobSpec`) asks for; each field not given is as the definition says.

        A job is run by the handler that has the definition's name unless either says `name`. `asked` is the
        digest of the request. Raises InvalidInput.
        """
        said = {"name": self.name, **self.job, **given, "definition": self.reference, "asked": asked}
        return JobSpec(**{**said, "tags": tuple(said.get("tags", ()))})


def parse_reference(text: str) -> tuple[str, int | None]:
    """Name and version of `name` (the latest version: None) or `name@version`. Raises InvalidInput."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise InvalidInput.field("definition", REFERENCE_RULE)
    return found[1], None if found[2] is None else int(found[2])
