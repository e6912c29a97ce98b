"""Pools without a Lambda, and the policy for machines that pull jobs."""

from __future__ import annotations

import json
import re

import pytest
from synthesised import POOLS, ROOT, Synthesised, listed, synthesise

Permission = tuple[tuple[str, ...], tuple[str, ...]]


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """A stage whose pool `gpu` has no handlers of its own."""
    pools = {"default": POOLS["default"], "gpu": {"slots": 2, "handlers": []}}
    return synthesise(tmp_path_factory.mktemp("pulled"), pools=pools)


def policy_of(template: Synthesised, pool: str) -> list[dict[str, object]]:
    (found,) = [
        policy
        for policy in template.of_type("AWS::IAM::ManagedPolicy").values()
        if policy["ManagedPolicyName"] == f"tidegate-dev-pull-{pool}"
    ]
    statements: list[dict[str, object]] = found["PolicyDocument"]["Statement"]
    return statements


def permissions(statements: list[dict[str, object]]) -> set[Permission]:
    allowed = [each for each in statements if each["Effect"] == "Allow"]
    return {(tuple(sorted(listed(each["Action"]))), tuple(sorted(listed(each["Resource"])))) for each in allowed}


def test_a_pool_without_handlers_has_queues_and_no_function(pulled: Synthesised) -> None:
    assert "worker-default" in pulled.functions()
    assert "worker-gpu" not in pulled.functions()
    queues = {queue["QueueName"] for queue in pulled.of_type("AWS::SQS::Queue").values()}
    assert {f"tidegate-dev-gpu-{name}" for name in ("critical", "high", "normal", "low", "dead")} <= queues
    assert "gpu" in json.loads(pulled.environment("api")["TIDEGATE_POOLS"])


def test_the_age_of_tickets_is_watched_where_a_function_takes_them(pulled: Synthesised) -> None:
    names = {alarm["AlarmName"] for alarm in pulled.of_type("AWS::CloudWatch::Alarm").values()}
    assert "tidegate-dev-default-normal-oldest" in names
    assert not {name for name in names if re.search("gpu-.*-oldest", name)}
    assert "tidegate-dev-gpu-dead-letters" in names


def test_the_policy_allows_what_the_function_of_the_pool_may_do(template: Synthesised) -> None:
    for pool in POOLS:
        granted = permissions(policy_of(template, pool))
        own = {each for each in permissions(template.statements(f"worker-{pool}")) if not _is_platform(each)}
        assert granted - own == {(("cloudformation:DescribeStacks",), ("<AWS::StackId>",))}
        assert own <= granted


def test_the_policy_keeps_the_audit_log_as_the_function_of_the_pool_must(template: Synthesised) -> None:
    def denied(statements: list[dict[str, object]]) -> list[dict[str, object]]:
        return [each for each in statements if each["Effect"] == "Deny"]

    for pool in POOLS:
        assert denied(policy_of(template, pool)) == denied(template.statements(f"worker-{pool}")) != []


def _is_platform(permission: Permission) -> bool:
    return permission[0][0].startswith(("logs:", "xray:"))


def test_a_key_of_the_stage_comes_with_the_policy(sealed: Synthesised) -> None:
    assert [each for each in policy_of(sealed, "default") if listed(each["Resource"]) == ["<Key.Arn>"]]


def test_the_guide_names_every_action_of_the_policy(template: Synthesised) -> None:
    guide = (ROOT / "docs/guides/workers.md").read_text()
    blocks = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)]
    (block,) = [each for each in blocks if "Statement" in each]
    told = {action for statement in block["Statement"] for action in listed(statement["Action"])}
    granted = {action for actions, _ in permissions(policy_of(template, "default")) for action in actions}
    assert told == granted
