"""Checks the templates of all stages in `cdk.json` with cdk-nag and cfn-lint: `python -m infra.check`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cfnlint.api as cfnlint  # type: ignore[import-untyped]
from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

from infra.stage import StageError
from infra.synthesis import build, finish, read_context
from infra.wheels import PackagingError

# W3005: the CDK writes dependencies that a reference already implies; they do no harm.
IGNORED = ("W3005",)


def main() -> int:
    """Check every stage; returns the exit code: 0 clean, 1 findings, 2 a setting or asset to mend."""
    context = read_context([])
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for stage in context["stages"]:
            folder = Path(scratch) / stage
            try:
                problems += synthesise(context | {"stage": stage, "bundle": False}, folder)
            except (StageError, PackagingError) as error:
                sys.stderr.write(f"{error}\n")
                return 2
            problems += lint(sorted(folder.glob("*.template.json")))
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    sys.stdout.write(f"infra: {len(context['stages'])} stages, {len(problems)} findings\n")
    return 1 if problems else 0


def synthesise(context: dict[str, Any], folder: Path) -> list[str]:
    """Write the template of a stage; returns what cdk-nag found, warnings included.

    Raises:
        StageError: the stage is not usable.
        PackagingError: an asset could not be put together.
    """
    finish(build(context, folder))
    return list(findings(folder / "validation-report.json"))


def findings(report: Path) -> Iterator[str]:
    """Read the findings out of the report that the CDK writes beside the templates."""
    for plugin in json.loads(report.read_text())["pluginReports"]:
        for violation in plugin["violations"]:
            for construct in violation["violatingConstructs"]:
                yield f"{construct['constructPath']}: {violation['ruleName']}: {violation['description']}"


def lint(templates: Iterable[Path]) -> list[str]:
    """Run cfn-lint; returns its findings, one per line."""
    settings = ManualArgs(ignore_checks=list(IGNORED), regions=["eu-west-1", "us-east-1"])
    matches = [match for template in templates for match in cfnlint.lint_file(template, config=settings)]
    return [f"{match.filename}:{match.linenumber}: {match.rule.id}: {match.message}" for match in matches]


if __name__ == "__main__":
    raise SystemExit(main())
