"""Looks for known vulnerabilities of what is shipped and of what builds it: `python -m infra.advisories`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("infra/layer-requirements.txt", "infra/identity-requirements.txt", "constraints.txt")
_SECONDS = 10
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def main(run: Run | None = None) -> int:
    """Print what is known; the exit code: 0 nothing, 1 a vulnerability, 2 the advisories are out of reach."""
    codes = [_look(name, run or _run) for name in FILES]
    return 1 if 1 in codes else max(codes)


def _look(name: str, run: Run) -> int:
    done = run([
        sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / name), "--no-deps", "--disable-pip",
        "--format", "json", "--progress-spinner", "off", "--timeout", str(_SECONDS),
    ])  # fmt: skip
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        sys.stdout.write(f"{name}: NOT CHECKED, the advisories are out of reach ({reason[:200]})\n")
        return 2
    faults = [
        f"{name}: {package['name']} {package['version']}: {fault['id']}, mended in {_mended(fault)}"
        for package in packages
        for fault in package.get("vulns", [])
    ]
    sys.stdout.write("".join(f"{fault}\n" for fault in faults))
    sys.stdout.write(f"{name}: {len(packages)} packages, {len(faults)} known vulnerabilities\n")
    return 1 if faults else 0


def _mended(fault: dict[str, list[str]]) -> str:
    return ", ".join(fault["fix_versions"]) or "no version yet"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed program


if __name__ == "__main__":
    raise SystemExit(main())
