"""The bill of materials of the layer, and what is said of known vulnerabilities."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from infra.sbom import bill_of_materials
from synthesised import ROOT

from infra import advisories


def install(folder: Path, name: str, version: str, *lines: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines]))


def test_the_bill_names_every_package_with_its_version_and_licence(tmp_path: Path) -> None:
    install(tmp_path, "Typing_Extensions", "4.16.0", "License-Expression: PSF-2.0")
    install(tmp_path, "croniter", "7.0.0", "License: MIT")
    install(
        tmp_path, "odd", "1", "License: " + "whole text " * 99, "Classifier: License :: OSI Approved :: BSD License"
    )
    install(tmp_path, "bare", "2")
    bill = json.loads(bill_of_materials("layer", tmp_path))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {each["purl"]: each.get("licenses") for each in bill["components"]} == {
        "pkg:pypi/bare@2": None,
        "pkg:pypi/croniter@7.0.0": [{"license": {"name": "MIT"}}],
        "pkg:pypi/odd@1": [{"license": {"name": "BSD License"}}],
        "pkg:pypi/typing-extensions@4.16.0": [{"expression": "PSF-2.0"}],
    }


def test_equal_packages_have_equal_bills(tmp_path: Path) -> None:
    for folder, names in (("a", ["one", "two"]), ("b", ["two", "one"])):
        (tmp_path / folder).mkdir()
        for name in names:
            install(tmp_path / folder, name, "1")
    assert bill_of_materials("layer", tmp_path / "a") == bill_of_materials("layer", tmp_path / "b")


def test_every_pinned_file_that_is_audited_exists() -> None:
    assert all((ROOT / name).is_file() for name in advisories.FILES)


CLEAN = {"dependencies": [{"name": "croniter", "version": "7.0.0", "vulns": []}]}
FAULT = {"id": "PYSEC-1", "fix_versions": ["7.0.1"]}
FAULTY = {"dependencies": [{"name": "croniter", "version": "7.0.0", "vulns": [FAULT]}]}


@pytest.mark.parametrize(
    ("outputs", "code", "said"),
    [
        ([CLEAN, CLEAN, CLEAN], 0, "1 packages, 0 known vulnerabilities"),
        ([CLEAN, FAULTY, CLEAN], 1, "croniter 7.0.0: PYSEC-1, mended in 7.0.1"),
        ([CLEAN, None, CLEAN], 2, "NOT CHECKED, the advisories are out of reach (no route to host)"),
        ([FAULTY, None, CLEAN], 1, "NOT CHECKED"),
    ],
)
def test_what_was_not_checked_is_never_called_clean(
    capsys: pytest.CaptureFixture[str], outputs: list[object], code: int, said: str
) -> None:
    answers = iter(outputs)

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        found = next(answers)
        text = "" if found is None else json.dumps(found)
        return subprocess.CompletedProcess(command, 1, text, "Traceback\nno route to host\n")

    assert advisories.main(run) == code
    assert said in capsys.readouterr().out
