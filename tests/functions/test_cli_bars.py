"""Long work of the command line shows on a terminal how far it is, and nowhere else."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Run

from home import Home
from tidegate.cli.main import main
from tidegate.service.bury import put_aside


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, act: Any) -> str:
    """What goes to a terminal's error output meanwhile."""
    screen = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", screen)
        act()
    return screen.getvalue()


def command(*words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert not caught.value.code


def test_backup_and_doctor(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    home.submit()
    home.pump()
    data = str(home.app.settings.data)
    told = shown(monkeypatch, lambda: command("backup", str(tmp_path / "copy"), "--data", data))
    assert ("Backup" in told, "100%" in told) == (True, True)
    assert "Jobs looked at: 1" in shown(monkeypatch, lambda: command("doctor", "--data", data))
    capsys.readouterr()
    command("backup", str(tmp_path / "other"), "--data", data)
    out, err = capsys.readouterr()
    assert (out.startswith("✅"), err) == (True, "")


def test_every_dead_letter_is_dealt_with_however_many_there_are(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(205):
        put_aside(home.ports, f"letter {number}", "default/normal", "no ticket")
    told = shown(monkeypatch, lambda: run("redrive", "--all", "--drop", "--yes"))
    assert ("Drop" in told, "100%" in told) == (True, True)
    assert run("dead", "list") == (0, "None\n", "")
    assert run("redrive", "--all", "--yes") == (0, "None\n", "")
