"""The import laws hold, and the linter that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def copy_packages(root: Path) -> None:
    """Copy what the laws are about, so that a fault can be planted."""
    packages = root / "packages"
    packages.mkdir()
    shutil.copytree(ROOT / "shared/tidegate", packages / "tidegate", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "functions", packages / "tidegate_functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", root)


def run_lint(root: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, 'packages'); "
        "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "planted", "law"),
    [
        ("tidegate/domain/job.py", "import boto3", "The domain knows the standard library only"),
        ("tidegate/domain/retry.py", "import time", "The domain knows the standard library only"),
        ("tidegate/service/submit.py", "import boto3", "Only the adapters import boto3"),
        ("tidegate/service/submit.py", "from tidegate.adapters import sqlite", "The runtime alone imports adapters"),
        ("tidegate/domain/job.py", "from tidegate import service", "Imports point one way"),
        ("tidegate/execution/runner.py", "import pydantic", "What runs in a worker imports no web framework"),
        (
            "tidegate_functions/worker/handler.py",
            "from tidegate_functions import clock",
            "Functions never import one another",
        ),
    ],
)
def test_a_planted_fault_breaks_its_law(tmp_path: Path, file: str, planted: str, law: str) -> None:
    copy_packages(tmp_path)
    path = tmp_path / "packages" / file
    path.write_text(f"{path.read_text()}\n{planted}\n")
    done = run_lint(tmp_path)
    assert done.returncode != 0
    assert f"{law} BROKEN" in done.stdout


def test_the_laws_hold(tmp_path: Path) -> None:
    copy_packages(tmp_path)
    done = run_lint(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
