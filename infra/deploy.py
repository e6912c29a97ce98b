"""Deploys one stage with the CDK's command line, run on the node of pip: `python -m infra.deploy STAGE`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from infra.node import npx
from infra.synthesis import OUTDIR
from infra.synthesis import main as synthesise

# Releases of the command line and of the library are numbered apart; this one reads what aws-cdk-lib 2.275 writes.
CDK = "aws-cdk@2.1148.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise a stage, then deploy exactly what was checked; returns the exit code."""
    parser = argparse.ArgumentParser(prog="infra.deploy", description=__doc__)
    parser.add_argument("stage", help="a stage of cdk.json")
    parser.add_argument("options", nargs="*", help="more for `cdk deploy`, after `--`")
    chosen = parser.parse_args(arguments)
    code = synthesise(["-c", f"stage={chosen.stage}"])
    return code or npx(command(chosen.stage, chosen.options))


def command(stage: str, options: Sequence[str]) -> list[str]:
    """What follows `npx` to deploy the assembly of a stage; broader permissions are asked about first."""
    deploy = ["deploy", f"Tidegate-{stage}", "--app", str(OUTDIR), "--outputs-file", str(OUTDIR / "outputs.json")]
    return ["--yes", CDK, *deploy, *options]


if __name__ == "__main__":
    raise SystemExit(main())
