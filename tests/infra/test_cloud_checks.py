"""The checks of the template themselves: clean on this stack, and able to fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from infra.synthesis import build, finish

from infra import check, nag


@pytest.mark.parametrize("customer_key", [False, True])
def test_cdk_nag_and_cfn_lint_find_nothing(context: Mapping[str, Any], tmp_path: Path, customer_key: bool) -> None:
    stage = context["stages"]["dev"] | {"customer_key": customer_key}
    assert check.synthesise({**context, "stages": {"dev": stage}}, tmp_path) == []
    assert check.lint([tmp_path / "Tidegate-dev.template.json"]) == []


def test_cdk_nag_stops_a_queue_without_tls_and_a_wildcard(context: Mapping[str, Any], tmp_path: Path) -> None:
    app = build(context, tmp_path)
    stack = app.node.find_child("Tidegate-dev")
    assert isinstance(stack, Stack)
    sqs.Queue(stack, "Planted")
    role = stack.node.find_child("Clock").node.find_child("Role")
    assert isinstance(role, iam.Role)
    role.add_to_policy(iam.PolicyStatement(actions=["s3:*"], resources=["arn:aws:s3:::planted"]))
    assert finish(app) is False
    found = [finding.split(": ")[1] for finding in check.findings(tmp_path / "validation-report.json")]
    assert sorted(found) == ["AwsSolutions-IAM5[Action::s3:*]", "AwsSolutions-SQS3", "AwsSolutions-SQS4"]


def test_every_accepted_finding_exists(
    context: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An acknowledgement that answers no finding would hide a later one."""
    accepted: set[str] = set()
    monkeypatch.setattr(nag, "acknowledge", lambda _resource, rule, _reason: accepted.add(rule))
    assert finish(build(context, tmp_path)) is False
    found = {finding.split(": ")[1] for finding in check.findings(tmp_path / "validation-report.json")}
    assert found == accepted


def test_cfn_lint_finds_a_planted_fault(tmp_path: Path) -> None:
    template = tmp_path / "planted.template.json"
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"Visibility": 30}}
    template.write_text(json.dumps({"Resources": {"Planted": queue}}))
    assert len(check.lint([template])) == 1
