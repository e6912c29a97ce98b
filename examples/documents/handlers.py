"""A document pipeline: split → extract (once a page) → classify and summarise → read invoice or letter → file.

    tidegate serve --handlers examples/documents/handlers.py

Each function takes plain data and returns plain JSON. In a run of a DAG a job finds the results of those before it
in `job.upstream`; submitted alone, it takes the same from its data. A document that can never
be read (missing, encrypted, damaged, outside the inbox) raises `PermanentError`, as a retry would not help.
"""

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

from tidegate import PermanentError, executor

HOME = Path(__file__).resolve().parent
INBOX = HOME / "inbox"
KINDS = {".pdf": "pdf", ".txt": "text"}
MAX_BYTES = 20_000_000
MAX_SENTENCES = 20


@executor("split", timeout=60)
def split(job: Any) -> dict[str, Any]:
    """Counts a document's pages, so that each can become a job of its own.

    Data: `document`, a path such as `inbox/report.pdf`, relative to this file's folder, or absolute.
    Returns `document` (relative), `kind` (`pdf` or `text`), `pages`, `page_numbers`, `bytes`.
    """
    path = locate(job.data)
    pages = len(open_pages(path))
    job.log.info(f"{path.name} has {pages} page(s)")
    return {
        "document": path.relative_to(HOME).as_posix(),
        "kind": KINDS[path.suffix.lower()],
        "pages": pages,
        "page_numbers": list(range(1, pages + 1)),
        "bytes": path.stat().st_size,
    }


@executor("extract", timeout=60)
def extract(job: Any) -> dict[str, Any]:
    """Extracts the text of one page.

    Data: `document` as for `split`, and `page`, counted from 1 (`item` where it runs for each of a list).
    Returns `document` (relative), `page`, `text`, `words`, `characters`.
    """
    path = locate(job.data)
    pages = open_pages(path)
    page = job.data.get("page", job.data.get("item"))
    if type(page) is not int or not 1 <= page <= len(pages):
        raise PermanentError(f"page must be a whole number from 1 to {len(pages)}, not {page!r}")
    job.progress(0.3, f"page {page} of {len(pages)}")
    text = without_page_number(page_text(path, pages[page - 1]), page)
    if not text:
        job.log.warning(f"page {page} of {path.name} holds no text; a scanned page needs OCR first")
    return {
        "document": path.relative_to(HOME).as_posix(),
        "page": page,
        "text": text,
        "words": len(words_of(text)),
        "characters": len(text),
    }


@executor("classify", timeout=60)
def classify(job: Any) -> dict[str, Any]:
    """Says what kind of document a text is, and by which cues.

    Each cue of `CUES` that the text shows gives its points to one label; `other` has one point from the
    start, so it wins where nothing speaks. A score is a label's share of all points. No learning, no chance: the
    same text always gets the same answer, and `evidence` tells why. The cues are for English.

    Data: `text`, or `pages` (the pages' texts in order).
    Returns `label`, `scores` (each label's share, 0 to 1), `evidence` (the winning label's cues).
    """
    text = text_of(given(job))
    size = max(1, len(words_of(text)))
    shown = [cue for cue in CUES if cue.shows_in(text, size)]
    points: Counter[str] = Counter(other=1)
    for cue in shown:
        points[cue.label] += cue.points
    label = max(LABELS, key=lambda each: points[each])
    job.log.info(f"classified as {label}")
    return {
        "label": label,
        "scores": {each: round(points[each] / points.total(), 3) for each in LABELS},
        "evidence": [cue.name for cue in shown if cue.label == label],
    }


@executor("summarise", timeout=60)
def summarise(job: Any) -> dict[str, Any]:
    """Picks the sentences that say most of what the text says, in their own order.

    The method is SumBasic (Nenkova and Vanderwende, 2005): a sentence is worth the mean probability of its content
    words, and once it is picked those probabilities are squared, so the next one brings something new.

    Data: `text`, or `pages` (the pages' texts in order); `sentences`, how many to pick (3; at most 20).
    Returns `summary`, `keywords` (at most 8, the commonest first), `sentences` (how many were picked), `words`
    (of the whole text). A text without full sentences is summarised by its opening.
    """
    text = text_of(given(job))
    wanted = job.data.get("sentences", 3)
    if type(wanted) is not int or not 1 <= wanted <= MAX_SENTENCES:
        raise PermanentError(f"sentences must be a whole number from 1 to {MAX_SENTENCES}, not {wanted!r}")
    counts = Counter(content_words(text))
    job.progress(0.5, "scoring sentences")
    picked = pick(sentences_of(text), counts, wanted)
    return {
        "summary": " ".join(picked) or " ".join(text.split())[:200],
        "keywords": [word for word, _ in counts.most_common(8)],
        "sentences": len(picked),
        "words": len(words_of(text)),
    }


@executor("read_invoice", timeout=60)
def read_invoice(job: Any) -> dict[str, Any]:
    """Finds an invoice's number, and the largest amount in it, which is what is to be paid.

    Data: `text`, or `pages`. Returns `number` (None if there is none) and `amount_due` (a text with two decimals).
    """
    text = text_of(given(job))
    number = re.search(r"invoice\s*(?:no\.?|number|#)?\s*:?\s*(\d{2,})", text, re.IGNORECASE)
    amounts = [amount.replace(",", "") for amount in re.findall(r"\b\d{1,3}(?:,\d{3})*\.\d{2}\b|\b\d+\.\d{2}\b", text)]
    return {"number": number[1] if number else None, "amount_due": max(amounts, key=float, default=None)}


@executor("read_letter", timeout=60)
def read_letter(job: Any) -> dict[str, Any]:
    """Finds a letter's greeting. Data: `text`, or `pages`. Returns `greeting` (None if there is none)."""
    greeting = re.search(r"^\s*((?:Dear|To the|Gentlemen|Sir)\b.{0,60}?)[,:.]?\s*$", text_of(given(job)), re.MULTILINE)
    return {"greeting": greeting[1] if greeting else None}


@executor("file", timeout=60)
def file_away(job: Any) -> dict[str, Any]:
    """Puts together what the branches before it found out; one that was not taken has no result."""
    found = {node: before.result for node, before in job.upstream.items() if before.result is not None}
    details = found.get("invoice") or found.get("letter") or {}
    return {**found["summarise"], "label": found["classify"]["label"], "details": details}


# Reading


def given(job: Any) -> dict[str, Any]:
    """The job's data; in a run, the pages that the node `extract` found stand in for `text` and `pages`."""
    if "text" in job.data or "pages" in job.data:
        return dict(job.data)
    extracted = getattr(job, "upstream", {}).get("extract")
    return {**job.data, "pages": [page["text"] for page in extracted.result]} if extracted else dict(job.data)


def locate(data: dict[str, Any]) -> Path:
    """Returns the document that `data` names, as an existing file inside the inbox.

    Raises `PermanentError` if it is unnamed, outside the inbox (links are followed first), missing, of another
    kind than `KINDS`, or larger than `MAX_BYTES`.
    """
    name = data.get("document")
    if not isinstance(name, str) or not name:
        raise PermanentError("data.document must name a document, such as inbox/report.pdf")
    try:
        path = (HOME / name).resolve()
        inside, exists = path.is_relative_to(INBOX), path.is_file()
    except (OSError, RuntimeError, ValueError):  # too long, a loop of links, a zero byte
        raise PermanentError(f"{name[:200]!r} is not a usable path") from None
    if not inside:
        raise PermanentError(f"{name!r} is outside the inbox")
    if not exists:
        raise PermanentError(f"{name!r} does not exist")
    if path.suffix.lower() not in KINDS:
        raise PermanentError(f"{name!r} is neither a PDF (.pdf) nor a plain text (.txt)")
    if path.stat().st_size > MAX_BYTES:
        raise PermanentError(f"{name!r} is larger than {MAX_BYTES:,} bytes")
    return path


def open_pages(path: Path) -> list[str] | list[PageObject]:
    """Returns a document's pages; those of a text are parted by form feeds.

    Raises `PermanentError` if the document is unreadable.
    """
    return pdf_pages(path) if path.suffix.lower() == ".pdf" else text_pages(path)


def text_pages(path: Path) -> list[str]:
    """Returns the pages of a UTF-8 text file. Raises `PermanentError` if it is not one."""
    try:
        return path.read_text(encoding="utf-8-sig").rstrip("\f\n").split("\f")
    except UnicodeDecodeError:
        raise PermanentError(f"{path.name} is not UTF-8 text") from None


LOCKED = (FileNotDecryptedError, DependencyError)
# pypdf names most faults, but a damaged object can also surface as one of Python's own errors.
PYTHON_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
DAMAGE = (PyPdfError, zlib.error, *PYTHON_ERRORS)


def pdf_pages(path: Path) -> list[PageObject]:
    """Returns the pages of a PDF. Raises `PermanentError` if it is damaged, empty or needs a password."""
    try:
        pages = list(PdfReader(path).pages)
    except LOCKED:
        raise PermanentError(f"{path.name} is encrypted; put a copy without encryption into the inbox") from None
    except DAMAGE as fault:
        raise PermanentError(f"{path.name} is not a readable PDF: {fault}") from fault
    if not pages:
        raise PermanentError(f"{path.name} has no pages")
    return pages


def page_text(path: Path, page: str | PageObject) -> str:
    """Returns one page's text. Raises `PermanentError` if the page is damaged."""
    if isinstance(page, str):
        return page.strip()
    try:
        text = page.extract_text().strip()
    except DAMAGE as fault:
        raise PermanentError(f"a page of {path.name} cannot be read: {fault}") from fault
    # A faulty font table yields half characters (lone surrogates), which JSON cannot carry.
    return text.encode("utf-8", "replace").decode("utf-8")


def without_page_number(text: str, page: int) -> str:
    """Drops a first or last line that holds nothing but the page's number."""
    return re.sub(rf"\A{page}\s*\n|\n\s*{page}\Z", "", text).strip()


def text_of(data: dict[str, Any]) -> str:
    """Returns `data.text`, or `data.pages` joined. Raises `PermanentError` if neither holds text."""
    pages = data["pages"] if "pages" in data else [data.get("text")]
    if not isinstance(pages, list) or not all(isinstance(page, str) for page in pages):
        raise PermanentError("data must hold text (a string) or pages (a list of strings)")
    return "\n".join(pages)


# Classifying


@dataclass(frozen=True)
class Cue:
    """One sign that a text is of a kind: `pattern` found, at least `per_hundred` times in each hundred words."""

    label: str
    points: int
    name: str
    pattern: str
    per_hundred: float = 0.0

    def shows_in(self, text: str, size: int) -> bool:
        """Tells whether a text of `size` words shows the cue."""
        found = len(re.findall(self.pattern, text, re.IGNORECASE | re.MULTILINE))
        return found > 0 and found * 100 >= self.per_hundred * size


LABELS = ("invoice", "letter", "report", "speech", "legal", "story", "other")
CUES = (
    Cue("invoice", 2, "is headed as an invoice", r"^invoice\b|\binvoice (number|date|no\b)"),
    Cue("invoice", 2, "names an amount due", r"\b(total|amount|balance) due\b"),
    Cue("invoice", 1, "counts tax", r"\b(vat|sales tax|subtotal)\b"),
    Cue("invoice", 1, "prices items", r"\b(unit price|quantity|purchase order)\b"),
    Cue("invoice", 1, "sets terms of payment", r"\b(payment terms|bill to|due date)\b"),
    Cue("letter", 2, "opens with a salutation", r"^\s*((my )?dear\b.{0,60}|gentlemen|sir|madam)[,:]?\s*$"),
    Cue("letter", 2, "closes as letters do", r"^\s*(yours|sincerely|respectfully|(best|kind) regards)\b.{0,60}$"),
    Cue("letter", 1, "names whom it is to", r"^\s*to (the|mr|mrs|ms|dr|messrs|messers)\b"),
    Cue("letter", 1, "speaks as I", r"\b(I|me|my)\b", 1.5),
    Cue("letter", 1, "speaks to you", r"\byou(r|rs|rself|rselves)?\b", 1.5),
    Cue("report", 3, "has a report's headings",
        r"^\s*(executive summary|summary|findings?|conclusions?|recommendations?|root causes?)\s*$"),
    Cue("report", 1, "speaks for a body", r"\b(the (board|commission|committee)|this report)\b"),
    Cue("report", 1, "weighs causes and evidence",
        r"\b(caused?|causes|evidence|factors?|determined|concluded)\b", 0.5),
    Cue("report", 1, "numbers its points", r"^\s*\d+\.\s+[A-Z]", 0.5),
    Cue("speech", 2, "greets an audience",
        r"\bfellow[- ](citizens|countrymen|americans|members)\b|\bladies and gentlemen\b"),
    Cue("speech", 1, "calls itself an address", r"\b(address delivered|inaugural address|speech)\b"),
    Cue("speech", 1, "speaks as we", r"\b(we|us|our|ourselves)\b", 1.5),
    Cue("speech", 1, "calls on its hearers",
        r"\blet us\b|\bit is for us\b|\bwe (are|have) (met|come|gathered)\b"),
    Cue("legal", 2, "is in articles", r"^\s*(amendment|article|section|clause)\s+([ivxlc]+|\d+)\b"),
    Cue("legal", 2, "speaks of law and rights",
        r"\b(laws?|legislat\w+|congress|courts?|jury|judiciary|jurisdiction|rights?)\b", 1.5),
    Cue("legal", 1, "commands", r"\bshall\b", 1.5),
    Cue("legal", 2, "uses the words of deeds",
        r"\b(hereby|thereof|therein|whereas|pursuant to|publish and declare)\b"),
    Cue("story", 2, "is in chapters", r"^\s*chapter\s+([ivxlc]+|\d+|one|two|three)\b"),
    Cue("story", 3, "has people talk", r"[\"”’,!?]\s*(said|thought|cried|asked|replied|whispered)\b", 0.2),
    Cue("story", 1, "tells of him or her", r"\b(he|she|him|her)\b", 2.0),
    Cue("story", 1, "tells what was", r"\b(was|were|had)\b", 2.5),
)  # fmt: skip


# Summarising


def words_of(text: str) -> list[str]:
    """Returns the words of a text: runs of letters and digits, with inner hyphens and apostrophes."""
    return re.findall(r"\w+(?:[-'’]\w+)*", text)


STOPWORDS = frozenset(
    words_of("""
    a about above after again against all also am among an and another any are as at be because been
    before being below between both but by came can cannot come could did do does doing down dr during
    each either else even ever every few for from further get got had has have having he her here hers
    herself him himself his how however i if in into is it its itself just know let like made make many
    may me might more most mr mrs ms much must my myself neither no nor not now of off on once one only
    or other others our ours ourselves out over own per said same say see shall she should since so some
    such than that the their theirs them themselves then there these they this those though through thus
    till to too under until up upon us very was way we well were what when where whether which while who
    whole whom whose why will with within without would yet you your yours yourself yourselves
    """)
)
ABBREVIATIONS = frozenset(
    words_of("apr aug co dec dr etc feb fig inc jan jul jun mar messers messrs mr mrs ms nov oct sep st vs")
)
POINT = re.compile(r"(\d{1,2}|[a-z])\.\s")
SENTENCE_END = re.compile(r"""(?<=[.!?])["”’)]*\s+(?=["“‘(]*[A-Z0-9])""")


def content_words(text: str) -> list[str]:
    """Returns the words that carry meaning, in lower case, without `'s`, numbers and `STOPWORDS`."""
    words = (re.sub(r"['’]s$", "", word.lower()) for word in words_of(text))
    return [word for word in words if len(word) > 2 and not word[0].isdigit() and word not in STOPWORDS]


def sentences_of(text: str) -> list[str]:
    """Returns the full sentences of a text: at least six words, closed by a full stop, `!` or `?`."""
    sentences: list[str] = []
    for paragraph in paragraphs_of(text):
        start = 0
        for gap in SENTENCE_END.finditer(paragraph):
            if not ends_in_abbreviation(paragraph[start : gap.start()]):
                sentences.append(paragraph[start : gap.end()].strip())
                start = gap.end()
        sentences.append(paragraph[start:].strip())
    return [each for each in sentences if re.search(r"""[.!?]["”’)]*$""", each) and len(words_of(each)) >= 6]


def ends_in_abbreviation(text: str) -> bool:
    """Tells whether the last full stop belongs to an abbreviation or an initial, so closes no sentence."""
    last = re.search(r"(\w+)\.$", text)
    return last is not None and (last[1].lower() in ABBREVIATIONS or bool(re.fullmatch(r"[A-Z]", last[1])))


def paragraphs_of(text: str) -> list[str]:
    """Joins lines into paragraphs.

    A PDF's text has no blank lines, so a line clearly shorter than the text's long ones (under 3/4 of the
    90th percentile) is taken for a heading or for the last of its paragraph. A numbered point starts its own.
    """
    lines = [line.strip() for line in text.splitlines()]
    lengths = sorted(len(line) for line in lines if line)
    full = lengths[len(lengths) * 9 // 10] * 3 / 4 if lengths else 0
    paragraphs = [""]
    for line in lines:
        if POINT.match(line):
            paragraphs.append("")
        paragraphs[-1] = f"{paragraphs[-1]} {line}".strip()
        if len(line) < full:
            paragraphs.append("")
    return [paragraph for paragraph in paragraphs if paragraph]


def pick(sentences: list[str], counts: Counter[str], wanted: int) -> list[str]:
    """Picks up to `wanted` sentences of four content words or more, and keeps the text's order."""
    chances = {word: count / counts.total() for word, count in counts.items()}
    contents = [content_words(sentence) for sentence in sentences]
    left = [place for place, words in enumerate(contents) if len(words) >= 4]
    picked: list[int] = []
    while left and len(picked) < wanted:
        best = max(left, key=lambda place: fmean(chances[word] for word in contents[place]))
        left.remove(best)
        picked.append(best)
        for word in set(contents[best]):
            chances[word] **= 2
    return [sentences[place] for place in sorted(picked)]
