"""Stages in `cdk.json`: what is accepted, and how each mistake is named."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from infra.stage import MAX_POOLS, MAX_POOLS_ASLEEP, StageConfig, StageError
from infra.synthesis import read_context
from synthesised import ROOT

MISSING = object()


def read(context: Mapping[str, Any], path: str = "", value: Any = None) -> StageConfig:
    """Reads the stage of the tests after one field, named by its dotted path, was changed."""
    stages = copy.deepcopy(context["stages"])
    if path:
        *parents, last = path.split(".")
        target = stages["dev"]
        for parent in parents:
            target = target[parent]
        if value is MISSING:
            del target[last]
        else:
            target[last] = value
    return StageConfig.from_context("dev", stages, ROOT)


def test_a_stage_is_read_with_its_defaults(context: Mapping[str, Any]) -> None:
    stage = read(context)
    assert [pool.name for pool in stage.pools] == ["default", "slow"]
    assert stage.pools[0].handlers == (ROOT / "tests/infra/sample_handlers.py",)
    assert (stage.api_rate, stage.api_burst, stage.customer_key) == (500, 1000, False)


def test_every_stage_of_the_repository_is_usable() -> None:
    stages = read_context([])["stages"]
    assert {StageConfig.from_context(name, stages, ROOT).name for name in stages} == set(stages)


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        ("pools.default.slots", 1, "stages.dev.pools.default.slots", "from 2 to 1000, got 1"),
        ("pools.default.slots", 1001, "stages.dev.pools.default.slots", "from 2 to 1000"),
        ("pools.default.slots", True, "stages.dev.pools.default.slots", "whole number"),
        ("pools.default.slots", MISSING, "stages.dev.pools.default.slots", "is missing"),
        ("pools.slow.timeout", 901, "stages.dev.pools.slow.timeout", "from 20 to 900, got 901"),
        ("pools.slow.memory", 64, "stages.dev.pools.slow.memory", "from 128 to 10240"),
        ("pools.slow.handlers", "nowhere.py", "stages.dev.pools.slow.handlers", "neither a Python file nor"),
        ("pools.slow.handlers", [5], "stages.dev.pools.slow.handlers", "expected the path"),
        ("pools.slow.handlers", 5, "stages.dev.pools.slow.handlers", "expected the path"),
        ("pools.slow.handlers", MISSING, "stages.dev.pools.slow.handlers", "is missing"),
        ("pools.slow.requirements", "nowhere.txt", "stages.dev.pools.slow.requirements", "requirements file or null"),
        ("pools.slow.files", ["nowhere"], "stages.dev.pools.slow.files", "there is no nowhere"),
        ("pools.slow.files", "infra", "stages.dev.pools.slow.files", "list of paths"),
        ("pools.slow.slot", 5, "stages.dev.pools.slow", "unknown fields: slot"),
        ("pools.Slow", {}, "stages.dev.pools", "'Slow' is not a name"),
        ("pools.default", MISSING, "stages.dev.pools", "'default' is missing"),
        ("pools", {}, "stages.dev.pools", "at least one entry"),
        ("pools", MISSING, "stages.dev.pools", "is missing"),
        ("alarm_email", "nobody", "stages.dev.alarm_email", "e-mail address or null"),
        ("log_retention_days", 15, "stages.dev.log_retention_days", "expected one of 1, 3, 5"),
        ("log_level", "debug", "stages.dev.log_level", "expected one of DEBUG"),
        ("waiting_machines", ["orders"], "stages.dev.waiting_machines", "ARNs of state machines, got 'orders'"),
        ("waiting_machines", "orders", "stages.dev.waiting_machines", "ARNs of state machines, got 'orders'"),
        ("customer_key", "yes", "stages.dev.customer_key", "true or false"),
        ("authorizer_cache_seconds", 3601, "stages.dev.authorizer_cache_seconds", "from 0 to 3600"),
        ("oidc", {"issuer": "http://x.example", "audience": "a"}, "stages.dev.oidc", "https:// address"),
        ("iam_callers", [{"principal": "*"}], "stages.dev.iam_callers", "object of principal, scopes, tenant, user"),
        ("oidc", "https://x.example", "stages.dev.oidc", "JSON object"),
        ("alarms", "none", "stages.dev.alarms", "expected one of few, all"),
        ("runbook", "my guide", "stages.dev.runbook", "without spaces"),
        ("dashboard", 1, "stages.dev.dashboard", "true or false"),
        ("api_rate", 0, "stages.dev.api_rate", "from 1 to 10000"),
        ("api_brust", 5, "stages.dev", "unknown fields: api_brust"),
    ],
)
def test_a_mistake_is_named_by_its_field(
    context: Mapping[str, Any], path: str, value: Any, field: str, problem: str
) -> None:
    with pytest.raises(StageError) as caught:
        read(context, path, value)
    assert caught.value.field == field
    assert problem in str(caught.value)


def test_an_unknown_stage_is_answered_with_the_known_ones(context: Mapping[str, Any]) -> None:
    with pytest.raises(StageError, match="no stage 'live'; known: dev"):
        StageConfig.from_context("live", context["stages"], ROOT)


def test_a_stage_name_that_would_not_fit_the_names_of_the_stack_is_refused(context: Mapping[str, Any]) -> None:
    with pytest.raises(StageError, match="'Dev' is not a name"):
        StageConfig.from_context("Dev", {"Dev": context["stages"]["dev"]}, ROOT)


def test_as_many_pools_as_are_allowed_fit_the_environment_of_a_function(context: Mapping[str, Any]) -> None:
    """Lambda limits all variables of a function to 4 KB together."""
    stage, pool = "s" * 16, "p" * 20
    url = f"https://sqs.ap-southeast-1.amazonaws.com/123456789012/tidegate-{stage}-{pool}-critical"
    pools = [f'"{pool}":{{' + f'"critical":"{url}",' * 5 + "}," for _ in range(MAX_POOLS)]
    table = "Tidegate-" + stage + "-TablesRegistry55D7706D-" + "X" * 13
    others = f"TIDEGATE_STAGE{stage}TIDEGATE_JOBS_TABLE{table}TIDEGATE_REGISTRY_TABLE{table}TIDEGATE_BUCKET{table}"
    powertools = "POWERTOOLS_SERVICE_NAMEtidegatePOWERTOOLS_METRICS_NAMESPACETidegate"
    mappings = "TIDEGATE_MAPPINGS" + "01234567-0123-0123-0123-0123456789ab," * 5 * MAX_POOLS_ASLEEP
    rest = others + powertools + "TIDEGATE_POOLS"
    assert len("".join(pools) + rest) < 4096
    assert len("".join(pools[:MAX_POOLS_ASLEEP]) + rest + mappings) < 4096
    too_many = {f"p{index}": context["stages"]["dev"]["pools"]["slow"] for index in range(MAX_POOLS)}
    with pytest.raises(StageError, match="at most 5 pools"):
        read(context, "pools", too_many | {"default": context["stages"]["dev"]["pools"]["default"]})
    with pytest.raises(StageError, match="more than 4 pools cannot sleep"):
        read(context, "pools", dict.fromkeys(["default", "b", "c", "d", "e"], too_many["p0"]))


def test_context_on_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    assert read_context([])["stage"] == "dev"
    assert read_context(["stage=prod"])["stage"] == "prod"
