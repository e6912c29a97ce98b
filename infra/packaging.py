"""What each Lambda asset holds: the shared code, the layer of dependencies, and the code of a pool's worker."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra import bytecode
from infra.sbom import FILE, bill_of_materials
from infra.stage import PoolConfig
from infra.wheels import PackagingError, wheels

# Parts of the package that serve people's own machines; no function imports them.
LEFT_OUT = (
    "__main__.py", "cli", "client", "local", "manager", "models.py", "pipeline", "scheduler.py", "testing", "worker",
)  # fmt: skip
# What the API alone needs, and no worker.
OF_THE_API = ("console",)
NOISE = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "tests")
# The quota of Lambda on a function and its layers, unzipped.
MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
RESERVED = ("tidegate", "tidegate_functions")


@dataclass(frozen=True)
class Packaging:
    """Builds the assets of the stack from a checkout.

    Attributes:
        root: the checkout, with `shared/tidegate`, `functions` and `infra/*-requirements.txt`.
        cache: where built dependencies are kept between runs.
        install: False leaves dependencies and bytecode out, for tests that look at the template alone.
    """

    root: Path
    cache: Path
    install: bool = True

    def layer(self, name: str = "layer") -> lambda_.Code:
        """The dependencies of `infra/<name>-requirements.txt`: those of `layer` are shared by every function.

        Its bill of materials comes with them.
        """
        requirements = self.root / "infra" / f"{name}-requirements.txt"
        packages = self._packages(requirements)

        def assemble(target: Path) -> None:
            shutil.copy(requirements, target)
            for folder in packages:
                _copy(folder, target / "python")
                (target / FILE).write_text(bill_of_materials(name, folder))

        return self._asset(name, assemble, runs_in="/opt")

    def shared_code(self) -> lambda_.Code:
        """The program itself, for every function but the workers."""
        return self._asset("shared", self.copy_shared)

    def worker_code(self, pool: PoolConfig) -> lambda_.Code:
        """The program together with the handlers of one pool and what those require.

        Raises:
            PackagingError: a requirement could not be installed, or a handler's name is taken.
        """
        packages = self._packages(pool.requirements) if pool.requirements else []

        def assemble(target: Path) -> None:
            for folder in packages:
                _copy(folder, target)
            for path in pool.handlers:
                copy_handlers(path, target)
            for path in pool.files:
                _copy(path, target / path.name) if path.is_dir() else shutil.copy(path, target)
            self.copy_shared(target, leave_out=(*LEFT_OUT, *OF_THE_API))

        refuse_reserved(pool.handlers)
        return self._asset(f"worker-{pool.name}", assemble)

    def copy_shared(self, target: Path, leave_out: Iterable[str] = LEFT_OUT) -> None:
        """Copy the program into `target`, without the parts for people's own machines, or whatever is to be left out.

        Raises:
            PackagingError: the program is not where it should be.
        """
        package, functions = self.root / "shared" / "tidegate", self.root / "functions"
        for folder in (package, functions):
            if not folder.is_dir():
                raise PackagingError(f"{folder} is missing; the stack is built from a complete checkout")
        _copy(package, target / "tidegate", leave_out=leave_out)
        _copy(functions, target / "tidegate_functions")

    def _asset(self, name: str, assemble: Callable[[Path], None], runs_in: str = "/var/task") -> lambda_.Code:
        def complete(target: Path) -> None:
            assemble(target)
            if self.install and bytecode.can_be_made():
                bytecode.compile_all(target, runs_in)

        return lambda_.Code.from_asset(
            str(self.root / "infra"),
            # Hashed by what it holds, so that a change that ships nothing deploys nothing.
            asset_hash_type=AssetHashType.OUTPUT,
            bundling=BundlingOptions(
                image=DockerImage.from_registry("unused"),
                # The CDK takes two assets with the same source and options for one; the name keeps them apart.
                environment={"ASSET": name},
                # jsii hands the options over as one argument, which is not what its type stub says.
                local=_Assembly(complete),  # type: ignore[arg-type]
            ),
        )

    def _packages(self, requirements: Path) -> list[Path]:
        return [wheels(requirements, self.cache)] if self.install else []


def handler_modules(pool: PoolConfig) -> str:
    """The import names of a pool's handlers in the worker's asset, comma separated."""
    return ",".join(path.stem for path in pool.handlers)


def refuse_reserved(handlers: Iterable[Path]) -> None:
    """Check that handlers neither hide the program nor one another.

    Raises:
        PackagingError: two handlers share a name, or one has the name of the program.
    """
    names = [path.stem for path in handlers]
    for name in names:
        if name in RESERVED or names.count(name) > 1:
            raise PackagingError(f"handlers {name!r}: this module name is taken in the worker; rename the file")


def copy_handlers(path: Path, target: Path) -> None:
    """Copy a user's handlers into `target`.

    A package folder is copied whole. A file brings the Python modules and packages beside it, because those are what
    it can import when it runs on a laptop; data comes along where the pool's `files` name it.
    """
    if path.is_dir():
        _copy(path, target / path.name)
        return
    for sibling in sorted(path.parent.iterdir()):
        if sibling.suffix == ".py" and (sibling == path or not sibling.name.startswith("test_")):
            shutil.copy(sibling, target)
        elif (sibling / "__init__.py").is_file() and sibling.name not in ("tests", *RESERVED):
            _copy(sibling, target / sibling.name)


def _copy(source: Path, target: Path, leave_out: Iterable[str] = ()) -> None:
    unwanted = {source / name for name in leave_out}

    def ignore(folder: str, names: list[str]) -> set[str]:
        return NOISE(folder, names) | {name for name in names if Path(folder, name) in unwanted}

    shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)


@jsii.implements(ILocalBundling)
class _Assembly:
    """Fills an asset in this process, where the CDK would otherwise start a container."""

    def __init__(self, assemble: Callable[[Path], None]) -> None:
        self._assemble = assemble

    def try_bundle(self, output_dir: str, _options: BundlingOptions) -> bool:
        target = Path(output_dir)
        self._assemble(target)
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        if size > MAX_UNZIPPED_BYTES:
            raise PackagingError(f"an asset of {size:,} bytes is over Lambda's limit of {MAX_UNZIPPED_BYTES:,}")
        return True
