"""The import laws hold, and the linter that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
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


def test_every_package_and_the_files_it_reads_are_installed() -> None:
    """An installation that is no checkout has what is listed, and nothing else."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    places = {ROOT / place: name for name, place in told["package-dir"].items()}
    found = {
        ".".join((name, *folder.relative_to(place).parts))
        for place, name in places.items()
        for folder in (each.parent for each in place.rglob("__init__.py"))
    }
    assert set(told["packages"]) == found
    kept = {
        path
        for package, patterns in told["package-data"].items()
        for pattern in patterns
        for path in _folder(places, package).glob(pattern)
    }
    files = {path for place in places for path in place.rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in {".py", ".pyc"}} <= kept


def _folder(places: dict[Path, str], package: str) -> Path:
    top, *rest = package.split(".")
    (place,) = (place for place, name in places.items() if name == top)
    return place.joinpath(*rest)
