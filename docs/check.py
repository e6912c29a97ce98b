"""Checks the documents: links lead somewhere, anchors exist, named tests exist, every feature of the documents that
Tidegate was made from names one, Python and JSON examples parse.

python docs/check.py
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_ROW = re.compile(r"^\| (\d)-(\d+)(?: … \d-(\d+))? \|.*$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def main() -> int:
    """Print every fault; the exit code tells whether there was one."""
    documents = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "SECURITY.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    documents += sorted((ROOT / "examples").rglob("*.md"))
    faults = [fault for document in documents for fault in _faults(document)]
    faults += _gaps(ROOT / "docs" / "seed-coverage.md")
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"{len(documents)} documents, {len(faults)} faults\n")
    return 1 if faults else 0


def _faults(document: Path) -> Iterator[str]:
    text = document.read_text()
    name = document.relative_to(ROOT)
    prose = _FENCE.sub("", text)
    for match in _LINK.finditer(prose):
        target = match[1] or match[2]
        if not target.startswith(("http://", "https://", "mailto:")) and not _exists(document, target):
            yield f"{name}: {target} leads nowhere"
    for path, test in _TEST.findall(prose):
        if not _has_test(path, test):
            yield f"{name}: there is no {path}::{test}"
    for language, code in _FENCE.findall(text):
        error = _syntax_error(language, code)
        if error:
            yield f"{name}: an example in {language} does not parse: {error}"


def _gaps(document: Path) -> Iterator[str]:
    """Rows of the table of features that name no test, and numbers that have no row."""
    numbers: dict[str, set[int]] = {}
    for row in _ROW.finditer(document.read_text()):
        part, first, last = row[1], int(row[2]), int(row[3] or row[2])
        numbers.setdefault(part, set()).update(range(first, last + 1))
        if not _TEST.search(row[0]):
            yield f"{document.relative_to(ROOT)}: {part}-{first} names no test"
    for part, found in numbers.items():
        for number in sorted(set(range(1, max(found) + 1)) - found):
            yield f"{document.relative_to(ROOT)}: {part}-{number} is missing"


def _exists(document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    found = (document.parent / path) if path else document
    if not found.exists():
        return False
    return not anchor or anchor in anchors(found)


def anchors(document: Path) -> set[str]:
    """What the headings of a document can be linked by."""
    return {_slug(heading) for heading in _HEADING.findall(document.read_text())}


def _has_test(path: str, test: str) -> bool:
    found = ROOT / path
    return found.is_file() and (not test or f"def {test}(" in found.read_text())


def _slug(heading: str) -> str:
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")


def _syntax_error(language: str, code: str) -> str | None:
    try:
        if language == "python":
            ast.parse(code)
        elif language == "json":
            json.loads(code)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    raise SystemExit(main())
