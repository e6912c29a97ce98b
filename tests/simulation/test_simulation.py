"""Fixed histories: the promise holds in each, and each can be replayed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import main
from .faults import Kind
from .history import play
from .watch import Broken

CHUNKS, CHUNK = 10, 40
_ROOT = Path(__file__).parents[2]
_TRACES = "from tests.simulation.history import play; print([play(seed).trace for seed in range(30)])"


@pytest.mark.parametrize("first", range(0, CHUNKS * CHUNK, CHUNK))
def test_no_accepted_job_is_lost_or_completed_twice(first: int) -> None:
    """Whatever goes wrong: ended, once, by its holder, within bounds, counted right, nothing left behind."""
    broken = {seed: told.broken for seed in range(first, first + CHUNK) if (told := play(seed)).broken}
    assert not broken


def test_deadlines_are_told_once_and_kept_whatever_goes_wrong() -> None:
    """Never before they are past, never of a job that ended, never forgotten; counted and announced once each."""
    broken = {seed: told.broken for seed in range(2 * CHUNK) if (told := play(seed, style="deadlines")).broken}
    assert not broken


def test_runs_of_dags_come_to_their_end_whatever_goes_wrong() -> None:
    """Each node once, never before what it waits for, none forgotten; runs close as their nodes ended."""
    broken = {seed: told.broken for seed in range(60) if (told := play(seed, style="runs")).broken}
    assert not broken


def test_limits_hold_whatever_goes_wrong() -> None:
    """Never more run than their queue allows, no slot stays behind, and what waits for one starts within bounds."""
    broken = {seed: told.broken for seed in range(2 * CHUNK) if (told := play(seed, style="limits")).broken}
    assert not broken


def test_the_keys_of_a_queue_are_changed_in_mid_flight_and_nothing_is_lost_or_starts_out_of_order() -> None:
    """Jobs stand on several keys, whose number changes while jobs come, with and without trouble."""
    broken = {seed: told.broken for seed in range(CHUNK // 2) if (told := play(seed, style="shards")).broken}
    assert not broken


def test_short_jobs_share_the_heads_of_lanes_and_start_out_of_order_by_moments_at_most() -> None:
    """Many at once, claimed one right after the other by workers in the cloud, with and without trouble."""
    told = {seed: play(seed, style="busy") for seed in range(CHUNK // 4)}
    assert not {seed: each.broken for seed, each in told.items() if each.broken}
    assert sum(each.blurred for each in told.values()) > 0


def test_no_job_is_taken_from_a_living_worker_by_a_clock_that_is_wrong() -> None:
    """Clocks differ by a minute, half a minute each way, and tickets come again while their jobs run."""
    broken = {seed: told.broken for seed in range(CHUNK) if (told := play(seed, style="clocks")).broken}
    assert not broken


@pytest.mark.parametrize("style", ["calm", "priority"])
def test_when_nothing_goes_wrong_jobs_start_in_time_and_in_order(style: str) -> None:
    """Calm: an idle worker starts a job within seconds. One worker: the best ready job of the lane first."""
    broken = {seed: told.broken for seed in range(CHUNK) if (told := play(seed, style=style)).broken}
    assert not broken


def test_every_kind_of_fault_strikes() -> None:
    """A kind that never strikes would prove nothing; the rarest strikes once in sixty histories."""
    unseen = set(Kind)
    for seed in range(CHUNKS * CHUNK):
        unseen -= {kind for kind, count in play(seed).faults.items() if count}
        if not unseen:
            break
    assert not unseen


def test_a_seed_is_one_history() -> None:
    """The same seed twice gives the same trace, in this process and in others that hash differently."""
    here = [play(seed).trace for seed in range(30)]
    assert here == [play(seed).trace for seed in range(30)]
    assert len(set(here)) == len(here)
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", _TRACES]
        told = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == str(here)


def test_the_command_tells_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds, faults by kind, and what was lost or doubled; a replay shows every call."""
    assert main(["--seeds", "20", "--from", "40", "--only-seeds"]) == 0
    told = capsys.readouterr().out
    assert "20 seeds" in told
    assert "0 lost, 0 doubled, 0 overwritten, 0 stolen" in told
    assert str(Kind.CRASH_AFTER) in told
    assert main(["--replay", "41", "-v"]) == 0
    shown = capsys.readouterr().out
    assert "jobs.create" in shown
    assert f"seed 41 ({play(41).style}" in shown
    assert str(Broken.LOST) not in shown.split("seed 41 (")[1]
