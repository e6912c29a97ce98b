"""Python packages for the Lambda platform, built without docker and kept by the hash of their requirements."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PYTHON = "3.13"
UV_PLATFORM = "aarch64-manylinux_2_28"
# pip takes each tag literally, where uv derives the older ones by itself.
PIP_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")


class PackagingError(RuntimeError):
    """The code of a function could not be put together; the message says what to do."""


def wheels(requirements: Path, cache: Path) -> Path:
    """Give the folder that holds the installed `requirements`, building it the first time alone.

    Args:
        requirements: a requirements file.
        cache: the folder that keeps builds; a build found there is used without a network.

    Raises:
        PackagingError: no package index could be reached, or a requirement has no wheel for Lambda.
    """
    text = requirements.read_bytes()
    key = hashlib.sha256(b"\n".join([text, PYTHON.encode(), UV_PLATFORM.encode()])).hexdigest()[:16]
    built = cache / f"layer-{key}"
    if not built.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
            target = Path(scratch) / "packages"
            _install(requirements, target)
            _drop_noise(target)
            _publish(target, built)
    return built


def _install(requirements: Path, target: Path) -> None:
    run = subprocess.run(  # noqa: S603 - a fixed program, and paths out of cdk.json
        _command(requirements, target), capture_output=True, text=True, check=False, cwd=requirements.parent
    )
    if run.returncode != 0:
        raise PackagingError(
            f"the packages of {requirements} could not be installed for Lambda (Python {PYTHON}, arm64). "
            "This step needs a package index the first time; every requirement needs a wheel for that platform.\n"
            + run.stderr.strip()
        )


def _command(requirements: Path, target: Path) -> Sequence[str]:
    common = ["--python-version", PYTHON, "--only-binary", ":all:", "--target", str(target), "-r", str(requirements)]
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if uv is not None:
        # uv must not look for a Python 3.13 on this machine: none is run, the wheels are only unpacked.
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, "--python-platform", UV_PLATFORM, *common]
    if importlib.util.find_spec("pip") is None:
        raise PackagingError("neither uv nor pip is installed; one of them has to fetch the packages of the layer")
    platforms = [word for tag in PIP_PLATFORMS for word in ("--platform", tag)]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", *platforms, *common]


def _drop_noise(target: Path) -> None:
    """Remove what differs from build to build or serves the installer alone, so that equal builds hash equally."""
    for name in (".lock", "bin"):
        path = target / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for info in target.glob("*.dist-info"):
        for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"):
            (info / name).unlink(missing_ok=True)


def _publish(target: Path, built: Path) -> None:
    """Move a finished build to its name; where another process was quicker, its equal build stays."""
    try:
        target.rename(built)
    except OSError:
        if not built.is_dir():
            raise
