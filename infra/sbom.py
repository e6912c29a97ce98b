"""The layer's bill of materials, in CycloneDX's JSON: `python -m infra.sbom` prints it, each layer carries its own."""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from infra.wheels import wheels

FILE = "sbom.cdx.json"
_LONGEST_LICENCE = 100
"""Some packages give the whole text where the name should be."""


def bill_of_materials(name: str, packages: Path) -> str:
    """What is installed in a folder, by name and version with its licence; the same text for the same packages."""
    found = {component["purl"]: component for component in map(_component, distributions(path=[str(packages)]))}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "library", "name": f"tidegate-{name}"}},
        "components": [found[purl] for purl in sorted(found)],
    }
    return json.dumps(bill, indent=2) + "\n"


def _component(package: Distribution) -> dict[str, Any]:
    name = package.metadata["Name"].lower().replace("_", "-").replace(".", "-")
    purl = f"pkg:pypi/{name}@{package.version}"
    licence = _licence(package)
    component = {"type": "library", "bom-ref": purl, "name": name, "version": package.version, "purl": purl}
    return component | ({"licenses": [licence]} if licence else {})


def _licence(package: Distribution) -> dict[str, Any] | None:
    """As the package states it: an SPDX expression, a name, or a classifier."""
    expressions, names, classifiers = (
        package.metadata.get_all(name) or [] for name in ("License-Expression", "License", "Classifier")
    )
    if expressions:
        return {"expression": expressions[0]}
    if names and len(names[0]) <= _LONGEST_LICENCE:
        return {"license": {"name": names[0]}}
    classifiers = [each for each in classifiers if each.startswith("License ::")]
    return {"license": {"name": classifiers[0].rpartition(":: ")[2]}} if classifiers else None


def main() -> None:
    """Print the bill of the layer that every function shares."""
    root = Path(__file__).resolve().parents[1]
    packages = wheels(root / "infra" / "layer-requirements.txt", root / ".cache")
    sys.stdout.write(bill_of_materials("layer", packages))


if __name__ == "__main__":
    main()
