"""The document pipeline of `examples/documents`, called function by function, on its own inbox and on bad input."""

import importlib.util
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pypdf import PdfWriter

from tidegate import PermanentError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "documents"


def load_handlers() -> ModuleType:
    """Imports the example's handlers by path, as `--handlers` does."""
    spec = importlib.util.spec_from_file_location("documents_example_handlers", EXAMPLE / "handlers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


handlers = load_handlers()

INBOX = {
    "alice-chapter-one-1865.pdf": ("pdf", 4, "story"),
    "bill-of-rights-1791.txt": ("text", 2, "legal"),
    "challenger-cause-1986.pdf": ("pdf", 3, "report"),
    "declaration-of-independence-1776.pdf": ("pdf", 4, "legal"),
    "gettysburg-address-1863.txt": ("text", 1, "speech"),
    "invoice-1001.pdf": ("pdf", 2, "invoice"),
    "invoice-1002.pdf": ("pdf", 1, "invoice"),
    "jefferson-to-danbury-1802.txt": ("text", 1, "letter"),
    "lincoln-second-inaugural-1865.pdf": ("pdf", 2, "speech"),
    "lincoln-to-bixby-1864.pdf": ("pdf", 1, "letter"),
    "mars-climate-orbiter-1999.pdf": ("pdf", 3, "report"),
    "washington-to-newport-1790.pdf": ("pdf", 1, "letter"),
}


@dataclass
class Log:
    """Keeps what a handler logs, as (level, message)."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def info(self, message: str) -> None:
        self.lines.append(("info", message))

    def warning(self, message: str) -> None:
        self.lines.append(("warning", message))


@dataclass
class Job:
    """Stands in for the context that a worker hands to a handler."""

    data: dict[str, Any]
    log: Log = field(default_factory=Log)
    steps: list[tuple[float, str]] = field(default_factory=list)

    def progress(self, fraction: float, message: str) -> None:
        self.steps.append((fraction, message))


def run(name: str, **data: Any) -> dict[str, Any]:
    """Runs one handler and returns its result, as JSON would carry it."""
    result: dict[str, Any] = json.loads(json.dumps(getattr(handlers, name)(Job(data)), allow_nan=False))
    return result


def read(document: str) -> list[str]:
    """Returns the text of every page, by the pipeline's first two jobs."""
    pages = run("split", document=document)["pages"]
    return [run("extract", document=document, page=page)["text"] for page in range(1, pages + 1)]


def refusal(name: str, **data: Any) -> str:
    """Returns the message with which a handler refuses `data` for good."""
    with pytest.raises(PermanentError) as caught:
        run(name, **data)
    return str(caught.value)


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty inbox of the test's own."""
    home = tmp_path.resolve()
    monkeypatch.setattr(handlers, "HOME", home)
    monkeypatch.setattr(handlers, "INBOX", home / "inbox")
    (home / "inbox").mkdir()
    return home / "inbox"


def write_pdf(path: Path, password: str | None = None, user_password: str | None = None) -> None:
    """Writes a PDF with one blank page, encrypted if `password` (the owner's) is given."""
    writer = PdfWriter()
    writer.add_blank_page(width=200, height=200)
    if password is not None:
        writer.encrypt(user_password if user_password is not None else password, password, algorithm="RC4-128")
    writer.write(path)


def test_the_shipped_inbox_is_the_one_that_is_described() -> None:
    shipped = {path.name for path in (EXAMPLE / "inbox").iterdir()}
    described = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert shipped == set(INBOX)
    assert [name for name in sorted(shipped) if f"`{name}`" not in described] == []
    assert sum(path.stat().st_size for path in (EXAMPLE / "inbox").iterdir()) < 1_500_000


@pytest.mark.parametrize("name", INBOX)
def test_each_shipped_document_goes_through_the_whole_pipeline(name: str) -> None:
    kind, page_count, label = INBOX[name]
    facts = run("split", document=f"inbox/{name}")
    assert (facts["document"], facts["kind"], facts["pages"]) == (f"inbox/{name}", kind, page_count)
    pages = read(facts["document"])
    assert all(len(page.split()) > 20 for page in pages)
    classified = run("classify", pages=pages)
    assert classified["label"] == label
    assert classified["evidence"]
    summary = run("summarise", pages=pages)
    assert summary["summary"]
    assert summary["words"] == sum(run("summarise", text=page)["words"] for page in pages)


def test_a_pdf_page_comes_out_as_it_was_written_without_its_page_number() -> None:
    first = run("extract", document="inbox/lincoln-to-bixby-1864.pdf", page=1)
    lines = first["text"].splitlines()
    assert lines[0] == "Letter to Mrs. Bixby"
    assert lines[-1] == "A. Lincoln."
    assert "Adjutant\nGeneral of Massachusetts that you are the mother of five sons" in first["text"]
    assert (first["page"], first["characters"]) == (1, len(first["text"]))


def test_the_pages_of_a_text_are_parted_by_form_feeds(inbox: Path) -> None:
    (inbox / "a.txt").write_text("one\fpage two\f", encoding="utf-8")
    assert read("inbox/a.txt") == ["one", "page two"]


def test_an_absolute_path_into_the_inbox_is_answered_with_the_relative_one(inbox: Path) -> None:
    (inbox / "a.TXT").write_text("hello", encoding="utf-8")
    assert run("split", document=str(inbox / "a.TXT")) == {
        "document": "inbox/a.TXT",
        "kind": "text",
        "pages": 1,
        "page_numbers": [1],
        "bytes": 5,
    }


def test_extract_reports_progress_and_warns_of_a_page_without_text(inbox: Path) -> None:
    write_pdf(inbox / "blank.pdf")
    job = Job({"document": "inbox/blank.pdf", "page": 1})
    assert handlers.extract(job)["words"] == 0
    assert job.steps == [(0.3, "page 1 of 1")]
    assert [level for level, _ in job.log.lines] == ["warning"]


@pytest.mark.parametrize("name", [None, "", 7, ["inbox/a.txt"]])
def test_a_document_must_be_named(name: object) -> None:
    assert "must name a document" in refusal("split", document=name)


@pytest.mark.parametrize(
    "name", ["../handlers.py", "inbox/../secret.txt", "inbox/../../secret.txt", "/etc/passwd", "secret.txt", "."]
)
def test_a_path_outside_the_inbox_is_refused(inbox: Path, name: str) -> None:
    (inbox.parent / "secret.txt").write_text("secret", encoding="utf-8")
    assert "outside the inbox" in refusal("split", document=name)
    assert "outside the inbox" in refusal("extract", document=name, page=1)


def test_a_link_that_leads_out_of_the_inbox_is_refused(inbox: Path) -> None:
    (inbox.parent / "secret.txt").write_text("secret", encoding="utf-8")
    (inbox / "innocent.txt").symlink_to(inbox.parent / "secret.txt")
    assert "outside the inbox" in refusal("extract", document="inbox/innocent.txt", page=1)


@pytest.mark.parametrize("name", ["inbox/a\0.txt", f"inbox/{'x' * 5000}.txt"])
def test_a_path_that_no_file_can_have_is_refused(inbox: Path, name: str) -> None:
    assert refusal("split", document=name).endswith(("is not a usable path", "does not exist"))


def test_a_missing_document_and_a_folder_do_not_exist_as_documents(inbox: Path) -> None:
    (inbox / "folder.pdf").mkdir()
    assert refusal("split", document="inbox/nothing.pdf") == "'inbox/nothing.pdf' does not exist"
    assert refusal("split", document="inbox/folder.pdf") == "'inbox/folder.pdf' does not exist"


def test_a_document_of_another_kind_is_refused(inbox: Path) -> None:
    (inbox / "picture.png").write_bytes(b"\x89PNG")
    assert "neither a PDF" in refusal("split", document="inbox/picture.png")


def test_a_document_over_the_limit_is_refused_unread(inbox: Path) -> None:
    with (inbox / "huge.pdf").open("wb") as file:
        os.truncate(file.fileno(), 20_000_001)
    assert "larger than 20,000,000 bytes" in refusal("split", document="inbox/huge.pdf")


def test_a_pdf_with_a_password_is_refused_as_encrypted(inbox: Path) -> None:
    write_pdf(inbox / "locked.pdf", password="secret")
    assert "locked.pdf is encrypted" in refusal("split", document="inbox/locked.pdf")
    assert "locked.pdf is encrypted" in refusal("extract", document="inbox/locked.pdf", page=1)


def test_a_pdf_that_only_its_owner_may_change_is_read(inbox: Path) -> None:
    write_pdf(inbox / "protected.pdf", password="secret", user_password="")
    assert run("split", document="inbox/protected.pdf")["pages"] == 1


@pytest.mark.parametrize("content", [b"", b"no PDF at all", b"%PDF-1.7\n" + bytes(range(256)) * 20])
def test_what_only_calls_itself_a_pdf_is_refused_as_unreadable(inbox: Path, content: bytes) -> None:
    (inbox / "broken.pdf").write_bytes(content)
    assert "broken.pdf is not a readable PDF" in refusal("split", document="inbox/broken.pdf")


@pytest.mark.parametrize("step", range(40))
def test_a_damaged_pdf_is_read_or_refused_but_never_crashes(inbox: Path, step: int) -> None:
    content = bytearray((EXAMPLE / "inbox" / "invoice-1002.pdf").read_bytes())
    start = step * len(content) // 40
    content[start : start + 40] = b"\xff" * 40
    (inbox / "damaged.pdf").write_bytes(content)
    try:
        outcome = run("extract", document="inbox/damaged.pdf", page=1)["document"]
    except PermanentError as refused:
        outcome = str(refused)
    assert "damaged.pdf" in outcome or "page must be" in outcome


def test_a_text_that_is_not_utf8_is_refused(inbox: Path) -> None:
    (inbox / "latin.txt").write_bytes("naïve".encode("latin-1"))
    assert refusal("split", document="inbox/latin.txt") == "latin.txt is not UTF-8 text"


@pytest.mark.parametrize("page", [None, 0, -1, 2, 1.0, "1", True])
def test_a_page_must_be_one_of_the_documents(inbox: Path, page: object) -> None:
    (inbox / "a.txt").write_text("one page", encoding="utf-8")
    assert (
        refusal("extract", document="inbox/a.txt", page=page)
        == f"page must be a whole number from 1 to 1, not {page!r}"
    )


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("invoice", "INVOICE\nInvoice no. 7\nQuantity 3\nSales tax 4.00\nBalance due: 44.00"),
        ("letter", "Dear Sir,\n\nI thank you for your help.\n\nKind regards\nA reader"),
        ("report", "Findings\n1. The pump had failed.\nRecommendations\n1. The committee determined to replace it."),
        ("speech", "Ladies and gentlemen, we have come together because our town needs us. Let us begin."),
        ("legal", "Section 1\nThe court shall hear the case pursuant to this law.\nSection 2\nNo right shall lapse."),
        ("story", 'Chapter 1\n"Who are you?" asked the fox. She was tired, and he had nothing to say to her.'),
        ("other", "Mix the flour with the butter and bake for twenty minutes."),
        ("other", ""),
    ],
)
def test_texts_from_outside_the_inbox_get_the_label_that_a_reader_would_give(label: str, text: str) -> None:
    assert run("classify", text=text)["label"] == label


def test_scores_are_shares_of_every_label_and_other_starts_with_one_point() -> None:
    plain = run("classify", text="Nothing to see.")
    assert plain == {"label": "other", "scores": {**dict.fromkeys(handlers.LABELS, 0.0), "other": 1.0}, "evidence": []}
    letter = run("classify", text="Dear friend,\nI write to you.\nYours, me")
    assert sum(letter["scores"].values()) == pytest.approx(1, abs=0.01)
    assert "opens with a salutation" in letter["evidence"]


@pytest.mark.parametrize("name", ["classify", "summarise"])
@pytest.mark.parametrize("data", [{}, {"text": 5}, {"pages": "one"}, {"pages": ["one", None]}])
def test_what_is_no_text_is_refused(name: str, data: dict[str, Any]) -> None:
    assert "data must hold text" in refusal(name, **data)


def test_a_summary_holds_whole_sentences_of_the_text_in_their_order() -> None:
    pages = read("inbox/challenger-cause-1986.pdf")
    flat = " ".join(" ".join(pages).split())
    summary = run("summarise", pages=pages, sentences=5)
    sentences = handlers.sentences_of(summary["summary"])
    places = [flat.find(sentence) for sentence in sentences]
    assert summary["sentences"] == len(sentences) == 5
    assert -1 not in places
    assert places == sorted(places)


def test_a_summary_is_about_what_the_text_is_about() -> None:
    text = (
        "Someone nearby painted seven purple bicycles quickly. The harbour wall broke in the storm on Monday. "
        "The harbour office repairs the wall with granite blocks."
    )
    summary = run("summarise", text=text, sentences=1)
    assert summary["summary"] == "The harbour wall broke in the storm on Monday."
    assert summary["keywords"][:2] == ["harbour", "wall"]


def test_a_summary_does_not_say_the_same_thing_twice() -> None:
    same = "The harbour wall broke in the storm on Monday."
    other = "The town office ordered granite blocks from abroad."
    assert run("summarise", text=f"{same} {same} {other}", sentences=2)["summary"] == f"{same} {other}"


def test_abbreviations_and_initials_end_no_sentence() -> None:
    text = (
        "On Nov. 21 the letter by A. Lincoln reached Mrs. Bixby in Boston. She kept the famous letter for many years."
    )
    assert handlers.sentences_of(text) == [
        "On Nov. 21 the letter by A. Lincoln reached Mrs. Bixby in Boston.",
        "She kept the famous letter for many years.",
    ]


def test_a_text_without_sentences_is_summarised_by_its_opening() -> None:
    assert run("summarise", text="Oak plank\n40\n18.50") == {
        "summary": "Oak plank 40 18.50",
        "keywords": ["oak", "plank"],
        "sentences": 0,
        "words": 5,
    }
    assert run("summarise", text="")["summary"] == ""


@pytest.mark.parametrize("sentences", [0, -1, 21, 2.0, "3", True, None])
def test_the_number_of_sentences_has_bounds(sentences: object) -> None:
    assert "sentences must be a whole number from 1 to 20" in refusal("summarise", text="Hello.", sentences=sentences)
