"""From the context of `cdk.json` to a cloud assembly: the stack of one stage, checked and written out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra import nag
from infra.packaging import Packaging
from infra.stack import TidegateStack
from infra.stage import StageConfig, StageError
from infra.wheels import PackagingError

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
# The CDK's command line names another place when it starts the application itself.
OUTDIR = Path(os.environ.get("CDK_OUTDIR", ROOT / "cdk.out"))


def build(context: Mapping[str, Any], outdir: Path, *, root: Path = ROOT, check: bool = True) -> App:
    """Build the application of one stage, ready to be synthesised.

    Args:
        context: `stage`, `stages`, and the flag `bundle`: false leaves out the dependencies, whose build may need a
            network; for tests of the template.
        outdir: where the assembly is written.
        root: the checkout that code and handlers are taken from.
        check: run the rules of cdk-nag while synthesising.

    Raises:
        StageError: the stage is unknown or one of its fields is not usable.
        PackagingError: an asset could not be put together.
    """
    app = App(context=dict(context), outdir=str(outdir), analytics_reporting=False)
    # The CDK's command line lays its own `-c` over what the file says.
    chosen = str(app.node.try_get_context("stage"))
    stage = StageConfig.from_context(chosen, app.node.try_get_context("stages"), root)
    install = app.node.try_get_context("bundle") not in (False, "false")
    TidegateStack(app, stage=stage, packaging=Packaging(root=root, cache=CACHE, install=install))
    if check:
        nag.check(app)
    return app


def finish(app: App) -> bool:
    """Write the assembly; False where cdk-nag found an unexplained error, which `validation-report.json` names."""
    try:
        app.synth()
    except RuntimeError as error:
        # The CDK has printed the findings; anything else that ends a synthesis is a fault of the program.
        if "ValidationFailed" not in str(error):
            raise
        return False
    return True


def read_context(overrides: Sequence[str]) -> dict[str, Any]:
    """Read the context of `cdk.json`, with `KEY=VALUE` overrides laid over it."""
    context = dict(json.loads((ROOT / "cdk.json").read_text())["context"])
    return context | dict(override.split("=", 1) for override in overrides)


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesise; returns the exit code: 0, 1 for a finding of cdk-nag, 2 for a setting or asset to mend."""
    parser = argparse.ArgumentParser(prog="infra/app.py", description="Synthesise the stack of one stage into cdk.out.")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    try:
        app = build(read_context(options.context), OUTDIR)
    except (StageError, PackagingError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if finish(app) else 1
