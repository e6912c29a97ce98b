"""The state machine that supervises runs, as the template deploys it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from infra.supervisor import DEFINITION, TIMEOUT
from synthesised import Synthesised

STATES: dict[str, dict[str, Any]] = json.loads(DEFINITION.read_text())["States"]
TASKS = [name for name, state in STATES.items() if state["Type"] == "Task"]


def machine(template: Synthesised) -> dict[str, Any]:
    (found,) = template.of_type("AWS::StepFunctions::StateMachine").values()
    return dict(found)


def test_it_is_a_standard_one_under_the_name_that_the_functions_know(template: Synthesised) -> None:
    found = machine(template)
    assert (found["StateMachineType"], found["StateMachineName"]) == ("STANDARD", "tidegate-dev-dag")
    for name in ("api", "clock", "changes", "dag"):
        arn = template.environment(name)["TIDEGATE_STATE_MACHINE"]
        assert arn.endswith(":stateMachine:tidegate-dev-dag")


def test_its_definition_is_the_file_with_the_function_put_in(template: Synthesised) -> None:
    found = machine(template)
    assert json.loads(found["DefinitionString"]) == json.loads(DEFINITION.read_text())
    wanted = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text()))
    assert set(found["DefinitionSubstitutions"]) == wanted
    assert found["DefinitionSubstitutions"]["Function"] == f"<{template.function_id('dag')}.Arn>"


def test_it_may_call_its_function_and_nothing_else(template: Synthesised) -> None:
    policies = [
        policy
        for policy in template.of_type("AWS::IAM::Policy").values()
        if policy["Roles"] == ["<SupervisorMachineRole>"]
    ]
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
    allowed = {str(each["Action"]): each["Resource"] for each in statements if "xray" not in str(each["Action"])}
    assert allowed == {"lambda:InvokeFunction": f"<{template.function_id('dag')}.Arn>"}


def test_it_is_traced_and_sealed_as_the_stage_wants(template: Synthesised, sealed: Synthesised) -> None:
    assert machine(template)["TracingConfiguration"] == {"Enabled": True}
    assert machine(sealed)["TracingConfiguration"] == {"Enabled": False}
    assert "EncryptionConfiguration" not in machine(template)
    assert machine(sealed)["EncryptionConfiguration"]["KmsKeyId"] == "<Key.Arn>"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_time_out_is_repeated_and_has_a_way_out(name: str) -> None:
    task = STATES[name]
    assert task.get("TimeoutSecondsPath") == "$.wait.seconds" or task["TimeoutSeconds"] > TIMEOUT
    assert task["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
    assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_who_waits_with_a_token_never_waits_for_ever() -> None:
    waiting = [name for name in TASKS if STATES[name]["Resource"].endswith("waitForTaskToken")]
    assert waiting == ["Await"]
    assert STATES["Await"]["Retry"][0]["MaxAttempts"] == 0
    assert "States.Timeout" in STATES["Await"]["Retry"][0]["ErrorEquals"], "a deadline is no failure"


def test_stopping_an_execution_reaches_the_function(template: Synthesised) -> None:
    (rule,) = (
        rule for rule in template.of_type("AWS::Events::Rule").values() if rule["Name"] == "tidegate-dev-dag-stopped"
    )
    assert rule["EventPattern"]["source"] == ["aws.states"]
    assert rule["EventPattern"]["detail"]["status"] == ["ABORTED"]
    (machine_arn,) = rule["EventPattern"]["detail"]["stateMachineArn"]
    assert machine_arn == template.environment("dag")["TIDEGATE_STATE_MACHINE"]
    (target,) = rule["Targets"]
    assert target["Arn"] == f"<{template.function_id('dag')}.Arn>"
    assert target["DeadLetterConfig"] == {"Arn": "<SupervisorDead.Arn>"}
