"""A synthesised template, asked by name instead of by logical id."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.synthesis import build

ROOT = Path(__file__).resolve().parents[2]
POOLS = {
    "default": {"slots": 10, "memory": 512, "timeout": 60, "handlers": "tests/infra/sample_handlers.py"},
    "slow": {"slots": 2, "memory": 2048, "timeout": 900, "handlers": "tests/infra/sample_handlers.py"},
}
WAITING = "arn:aws:states:eu-west-1:123456789012:stateMachine:orders"
STAGE = {
    "waiting_machines": [WAITING],
    "pools": POOLS,
    "alarm_email": "ops@example.org",
    "log_retention_days": 14,
    "keep_data": False,
    "alarms": "all",
    "dashboard": True,
    "tracing": True,
    "sleep": True,
}
LEAN = {"alarms": "few", "dashboard": False, "tracing": False, "sleep": False}
OIDC = {"issuer": "https://id.example.org", "audience": "tidegate", "tenant_claim": "org"}
ETL = {"principal": "arn:aws:iam::123456789012:role/etl", "tenant": "main", "user": "etl", "scopes": ["submit"]}
CONTEXT = {"stage": "dev", "stages": {"dev": STAGE}, "bundle": False}


def synthesise(folder: Path, **fields: Any) -> Synthesised:
    """Synthesises the stage of the tests with some of its fields changed."""
    build(CONTEXT | {"stages": {"dev": STAGE | fields}}, folder, check=False).synth()
    return Synthesised(json.loads((folder / "Tidegate-dev.template.json").read_text()))


class Synthesised:
    """A template with its intrinsic functions written out as readable text.

    `Ref` becomes `<Id>`, `Fn::GetAtt` becomes `<Id.Attribute>` and `Fn::Join` is joined, each id without the hash that
    the CDK appends.
    """

    def __init__(self, template: Mapping[str, Any]) -> None:
        self.resources: dict[str, dict[str, Any]] = template["Resources"]
        self.outputs: dict[str, Any] = template["Outputs"]

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of each resource of a type, such as `AWS::SQS::Queue`, by its plain id."""
        return {
            plain(name): self.text(resource.get("Properties", {}))
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def functions(self) -> dict[str, Any]:
        """The properties of each Lambda by its name without product and stage: `api`, `worker-default`, …"""
        return {
            properties["FunctionName"].split("-", 2)[2]: properties
            for properties in self.of_type("AWS::Lambda::Function").values()
        }

    def function_id(self, name: str) -> str:
        """The plain id of a Lambda by its name as in `functions`."""
        for plain_id, properties in self.of_type("AWS::Lambda::Function").items():
            if properties["FunctionName"].split("-", 2)[2] == name:
                return plain_id
        raise KeyError(name)

    def environment(self, function: str) -> dict[str, str]:
        """The environment of a Lambda, ready to be read as settings."""
        return dict(self.functions()[function]["Environment"]["Variables"])

    def statements(self, function: str) -> list[dict[str, Any]]:
        """Every statement of every policy of a Lambda's role."""
        role = self.functions()[function]["Role"].strip("<>").removesuffix(".Arn")
        return [
            statement
            for policy in self.of_type("AWS::IAM::Policy").values()
            if f"<{role}>" in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def text(self, value: Any) -> Any:
        """Write the intrinsic functions of a value out, however deep they are."""
        if isinstance(value, list):
            return [self.text(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return f"<{plain(value['Ref'])}>"
        if set(value) == {"Fn::GetAtt"}:
            name, attribute = value["Fn::GetAtt"]
            return f"<{plain(name)}.{attribute}>"
        if set(value) == {"Fn::Join"}:
            separator, parts = value["Fn::Join"]
            return separator.join(str(self.text(part)) for part in parts)
        return {name: self.text(item) for name, item in value.items()}


def plain(logical_id: str) -> str:
    """A logical id without the hash of eight digits that the CDK appends."""
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


def listed(value: Any) -> list[Any]:
    """A value that a template writes either alone or as a list."""
    return value if isinstance(value, list) else [value]
