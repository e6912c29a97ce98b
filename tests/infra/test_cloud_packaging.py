"""What the assets hold, and how dependencies for Lambda are built and kept."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from infra.packaging import LEFT_OUT, OF_THE_API, Packaging, copy_handlers, refuse_reserved
from infra.wheels import PackagingError
from synthesised import ROOT

from infra import bytecode, deploy, node, synthesis, wheels


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_shared_asset_holds_the_program_under_its_import_names(tmp_path: Path) -> None:
    write(
        tmp_path / "shared" / "tidegate", "__init__.py", "__main__.py", "domain/job.py", "cli/main.py", "local/http.py"
    )
    write(tmp_path / "shared" / "tidegate", "__pycache__/x.pyc", "service/local/kept.py", "worker/pull.py")
    write(tmp_path / "functions", "__init__.py", "api/handler.py", "worker/handler.py", "api/tests/test_api.py")
    Packaging(root=tmp_path, cache=tmp_path).copy_shared(tmp_path / "asset")
    assert tree(tmp_path / "asset") == {
        "tidegate/__init__.py",
        "tidegate/domain/job.py",
        "tidegate/service/local/kept.py",
        "tidegate_functions/__init__.py",
        "tidegate_functions/api/handler.py",
        "tidegate_functions/worker/handler.py",
    }


def test_workers_go_without_the_console(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "tidegate", "domain/job.py", "console/static/index.html", "cli/main.py")
    write(tmp_path / "functions", "worker/handler.py")
    Packaging(root=tmp_path, cache=tmp_path).copy_shared(tmp_path / "asset", leave_out=(*LEFT_OUT, *OF_THE_API))
    assert tree(tmp_path / "asset") == {"tidegate/domain/job.py", "tidegate_functions/worker/handler.py"}


def test_bytecode_is_found_where_it_runs_whatever_time_the_sources_have(tmp_path: Path) -> None:
    """The same bytes each time; what is no Python is passed over, and the source is not looked at again."""
    made = []
    for name in ("a", "b"):
        asset = tmp_path / name
        asset.mkdir()
        (asset / "broken.py").write_text("no python")
        (asset / "module.py").write_text("PLACES = {'x', 'y', 'z'} if __file__ else frozenset({'p', 'q'})\n")
        bytecode.compile_all(asset, "/var/task")
        (compiled,) = asset.rglob("*.pyc")
        made.append(compiled.read_bytes())
    assert made[0] == made[1]
    assert b"/var/task/module.py" in made[0]
    (tmp_path / "a" / "module.py").write_text("PLACES = 'changed'\n")
    program = "import module; print(sorted(module.PLACES))"
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "a", capture_output=True, text=True)
    assert run.stdout == "['x', 'y', 'z']\n"


def test_bytecode_is_made_by_the_python_that_runs_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bytecode.can_be_made() == (f"{sys.version_info.major}.{sys.version_info.minor}" == wheels.PYTHON)
    monkeypatch.setattr(bytecode, "PYTHON", "3.99")
    assert not bytecode.can_be_made()


def test_an_incomplete_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="shared/tidegate is missing"):
        Packaging(root=tmp_path, cache=tmp_path).copy_shared(tmp_path / "asset")


def test_a_handlers_file_brings_the_modules_beside_it_and_no_data(tmp_path: Path) -> None:
    write(tmp_path / "mine", "handlers.py", "helper.py", "test_handlers.py", "lib/__init__.py", "lib/a.py", "in/x.pdf")
    asset = tmp_path / "asset"
    asset.mkdir()
    copy_handlers(tmp_path / "mine" / "handlers.py", asset)
    assert tree(asset) == {"handlers.py", "helper.py", "lib/__init__.py", "lib/a.py"}


def test_a_handlers_package_is_copied_whole(tmp_path: Path) -> None:
    write(tmp_path / "mine", "__init__.py", "jobs.py", "model.json", "__pycache__/x.pyc")
    asset = tmp_path / "asset"
    copy_handlers(tmp_path / "mine", asset)
    assert tree(asset) == {"mine/__init__.py", "mine/jobs.py", "mine/model.json"}


@pytest.mark.parametrize("names", [["tidegate.py"], ["tidegate_functions"], ["a/jobs.py", "b/jobs.py"]])
def test_handlers_cannot_hide_the_program_or_each_other(names: list[str]) -> None:
    with pytest.raises(PackagingError, match="is taken"):
        refuse_reserved([Path(name) for name in names])


def imported(path: Path, package: str) -> Iterator[str]:
    """The modules that importing a file imports, absolute; what functions import when called is left out."""
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        here = pending.pop()
        if isinstance(here, ast.Import):
            yield from (alias.name for alias in here.names)
        elif isinstance(here, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - here.level + 1] if here.level else []
            module = ".".join([*base, *([here.module] if here.module else [])])
            yield from (f"{module}.{alias.name}" for alias in here.names)
        elif not isinstance(here, ast.FunctionDef | ast.AsyncFunctionDef) and not type_checking(here):
            pending.extend(ast.iter_child_nodes(here))


def type_checking(here: ast.AST) -> bool:
    return isinstance(here, ast.If) and "TYPE_CHECKING" in ast.unparse(here.test)


def test_nothing_that_is_shipped_imports_what_is_left_out(tmp_path: Path) -> None:
    Packaging(root=ROOT, cache=tmp_path).copy_shared(tmp_path / "asset")
    left_out = tuple(f"tidegate.{name.removesuffix('.py')}" for name in LEFT_OUT)
    found = {
        f"{path.relative_to(tmp_path)} imports {module}"
        for path in (tmp_path / "asset").rglob("*.py")
        for module in imported(path, ".".join(path.relative_to(tmp_path / "asset").parent.parts))
        if f"{module}.".startswith(tuple(f"{name}." for name in left_out))
    }
    assert found == set()


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """Requirements that one wheel in a folder satisfies, without an index."""
    with zipfile.ZipFile(tmp_path / "tide-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tide.py", "HIGH = True\n")
        wheel.writestr("tide-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tide\nVersion: 1.0\n")
        wheel.writestr("tide-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tide-1.0.dist-info/RECORD", "tide.py,,\n")
    path = tmp_path / "requirements.txt"
    path.write_text(f"--no-index\n--find-links {tmp_path}\ntide==1.0\n")
    return path


@pytest.mark.parametrize("with_uv", [True, False])
def test_dependencies_are_built_by_uv_or_pip_alike(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_uv: bool
) -> None:
    if not with_uv:
        monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    built = wheels.wheels(requirements, tmp_path / "cache")
    assert tree(built) == {"tide.py", "tide-1.0.dist-info/METADATA", "tide-1.0.dist-info/WHEEL"}


def test_a_second_build_needs_neither_network_nor_installer(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = wheels.wheels(requirements, tmp_path / "cache")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_kwargs: pytest.fail("built again"))
    assert wheels.wheels(requirements, tmp_path / "cache") == built


def test_other_requirements_are_built_apart(requirements: Path, tmp_path: Path) -> None:
    first = wheels.wheels(requirements, tmp_path / "cache")
    requirements.write_text(requirements.read_text() + "# changed\n")
    assert wheels.wheels(requirements, tmp_path / "cache") != first


def test_a_build_that_fails_says_what_it_needs_and_leaves_nothing(requirements: Path, tmp_path: Path) -> None:
    requirements.write_text("--no-index\nabsent==1.0\n")
    with pytest.raises(PackagingError, match=r"needs a package index the first time.*[\s\S]*absent"):
        wheels.wheels(requirements, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_layers_are_pinned_to_what_the_tests_run_with() -> None:
    from importlib.metadata import version

    pins: dict[str, str] = {}
    for name in ("layer", "identity", "schema"):
        lines = (ROOT / "infra" / f"{name}-requirements.txt").read_text().splitlines()
        pins |= dict(line.split("==") for line in lines if not line.startswith("#"))
    tested = ("aws-lambda-powertools", "croniter", "cryptography", "jsonschema-rs", "pydantic", "PyJWT")
    assert {name: version(name) for name in tested} == {name: pins[name] for name in tested}


def test_a_node_that_is_already_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", "/opt/node")
    node.use_bundled_node()
    assert os.environ["JSII_NODE"] == "/opt/node"


def test_the_node_of_pip_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSII_NODE", raising=False)
    node.use_bundled_node()
    chosen = node.bundled_node()
    assert os.environ.get("JSII_NODE") == (str(chosen) if chosen else None)


def test_a_stage_that_does_not_exist_ends_the_synthesis_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert synthesis.main(["-c", "stage=nowhere"]) == 2
    assert "there is no stage 'nowhere'" in capsys.readouterr().err


def test_the_application_runs_as_a_file_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "infra" / "app.py"), "-c", "stage=nowhere"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "there is no stage 'nowhere'" in run.stderr


def test_a_deployment_takes_the_assembly_that_was_checked() -> None:
    command = deploy.command("prod", ["--require-approval", "never"])
    assert command[:4] == ["--yes", deploy.CDK, "deploy", "Tidegate-prod"]
    assert command[command.index("--app") + 1] == str(synthesis.OUTDIR)
    assert command[-2:] == ["--require-approval", "never"]
