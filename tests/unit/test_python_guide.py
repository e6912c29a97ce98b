"""The guide of `tidegate.manager`, `pipeline` and `models`: its examples run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "python.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "pipeline"))
    examples = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(examples) == 4
    known: dict[str, object] = {"__name__": "guide"}
    for example in examples:
        exec(compile(example, str(GUIDE), "exec"), known)
    assert "INFO: 10 epochs" in capsys.readouterr().out
    assert (tmp_path / "jobs.db.tidegate").is_dir()
