"""The event bus of a stage: there unless it is not wanted, and written to by the change feed alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthesised import Synthesised, synthesise

BUS = "AWS::Events::EventBus"


def test_a_stage_has_a_bus_of_its_name(template: Synthesised) -> None:
    (bus,) = template.of_type(BUS).values()
    assert bus["Name"] == "tidegate-dev"
    assert "KmsKeyIdentifier" not in bus
    assert "EventBus" in template.outputs


def test_a_stage_with_a_key_encrypts_its_bus_with_it(sealed: Synthesised) -> None:
    (bus,) = sealed.of_type(BUS).values()
    assert bus["KmsKeyIdentifier"] == "<Key.Arn>"
    (key,) = sealed.of_type("AWS::KMS::Key").values()
    allowed = {
        action
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Principal"].get("Service") == "events.amazonaws.com"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert allowed == {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}


def test_no_one_but_this_account_reaches_the_bus(template: Synthesised) -> None:
    assert template.of_type("AWS::Events::EventBusPolicy") == {}


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    return synthesise(Path(tmp_path_factory.mktemp("silent")), events=False, customer_key=True)


def test_a_stage_without_events_has_no_bus_no_grant_and_no_variable(silent: Synthesised) -> None:
    assert silent.of_type(BUS) == {}
    assert "EventBus" not in silent.outputs
    assert "TIDEGATE_EVENT_BUS" not in silent.environment("changes")
    actions = [statement["Action"] for statement in silent.statements("changes")]
    assert not any("events:" in str(action) for action in actions)
