"""How the benchmarks show what they found."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.embedded.sink import VARIABLE, Sink, noop
from benchmarks.report import Table, median, percentile, share, shown, slope


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), ("as it is", "as it is"), (True, "True"), (0, "0"), (3, "3"), (4.0, "4"), (0.5, "0.5"),
        (0.012345, "0.0123"), (1.2345, "1.23"), (45.678, "45.7"), (100.4, "100"), (12345.6, "12,346"), (1200, "1,200"),
        (-0.5, "-0.5"),
    ],
)  # fmt: skip
def test_figures_are_shown_to_three_digits(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_table_is_markdown() -> None:
    table = Table("Title", ("", "µs"), notes=["A note."])
    table.add("submit", 12.345)
    assert table.markdown() == "### Title\n\n|  | µs |\n| --- | ---: |\n| submit | 12.3 |\n\nA note.\n"


def test_a_table_without_rows_is_its_notes() -> None:
    assert Table("", (), notes=["Left out."]).markdown() == "\nLeft out.\n"


def test_growth_is_an_exponent() -> None:
    sizes = [1_000, 10_000, 100_000]
    assert slope(sizes, [5.0, 5.0, 5.0]) == pytest.approx(0)
    assert slope(sizes, [1.0, 10.0, 100.0]) == pytest.approx(1)
    assert slope(sizes, [1.0, 10**0.5, 10.0]) == pytest.approx(0.5)


def test_medians_percentiles_and_ratios() -> None:
    assert median([3, 1, 2]) == 2
    assert median([]) is None
    assert percentile([float(n) for n in range(1, 101)], 99) == 99
    assert percentile([7.0], 99) == 7
    assert percentile([], 50) is None
    assert share(3, 2) == "1.50 ×"
    assert share(None, 2) == share(3, None) == share(3, 0) == "–"


def test_the_sink_tells_which_jobs_ran_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink(tmp_path / "sink")
    sink.clear()
    monkeypatch.setenv(VARIABLE, str(sink.path))
    monkeypatch.setattr("benchmarks.embedded.sink._opened", [])
    assert [noop(7), noop(8)] == [7, 8]
    with sink.path.open("ab") as file:
        file.write(b"half a rec")
    assert sink.count() == 2
    assert [mark.number for mark in sink.marks()] == [7, 8]
    assert sink.marks()[0].at <= sink.marks()[1].at
    assert sink.reaches(2, 1, lambda: True)
    assert not sink.reaches(3, 5, lambda: False)
