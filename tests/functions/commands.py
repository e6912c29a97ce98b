"""A command line under test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidegate.cli.main import main

Run = Callable[..., tuple[int, str, str]]
"""Arguments to exit code, standard output and standard error."""


def command_line(capsys: pytest.CaptureFixture[str], *command: str) -> Run:
    """`tidegate`, or one `command` of it, in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*command, *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run
