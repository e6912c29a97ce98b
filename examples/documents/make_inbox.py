"""Typesets the PDFs of `inbox/` from the texts and invoices in `sources/`.

Only for authors: the PDFs are shipped. It needs `reportlab` (`pip install reportlab`). The same sources give the
same bytes, so a changed PDF always means a changed source.

    python examples/documents/make_inbox.py
"""

import json
from collections.abc import Callable
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
INBOX = HERE / "inbox"

BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=12, leading=17, spaceAfter=9)
TITLE = ParagraphStyle("title", parent=BODY, fontName="Times-Bold", fontSize=18, leading=23, spaceAfter=4)
AUTHOR = ParagraphStyle("author", parent=BODY, fontName="Times-Italic", spaceAfter=18)
HEADING = ParagraphStyle("heading", parent=BODY, fontName="Times-Bold", fontSize=13, spaceBefore=8, keepWithNext=True)
PLAIN = ParagraphStyle("plain", parent=BODY, fontName="Helvetica", fontSize=10, leading=14)
RULE = HexColor("#888888")


def main() -> None:
    """Writes one PDF per source; prints each path with its size in bytes."""
    for source in sorted(SOURCES.iterdir()):
        compose: Callable[[Path], tuple[str, str, list[Flowable]]]
        compose = invoice if source.suffix == ".json" else prose
        title, author, story = compose(source)
        target = INBOX / f"{source.stem}.pdf"
        typeset(target, title, author, story)
        print(f"{target.relative_to(HERE)}  {target.stat().st_size}")


def typeset(target: Path, title: str, author: str, story: list[Flowable]) -> None:
    """Writes `story` to `target` as A4 pages, numbered at the foot."""
    document = SimpleDocTemplate(
        str(target), pagesize=A4, title=title, author=author, invariant=1,
        leftMargin=30 * mm, rightMargin=30 * mm, topMargin=26 * mm, bottomMargin=26 * mm,
    )  # fmt: skip
    document.build(story, onFirstPage=number_page, onLaterPages=number_page)


def number_page(canvas: Canvas, _document: SimpleDocTemplate) -> None:
    """Prints the page's number in the middle of its foot."""
    canvas.setFont("Times-Roman", 10)
    canvas.drawCentredString(A4[0] / 2, 14 * mm, str(canvas.getPageNumber()))


def prose(source: Path) -> tuple[str, str, list[Flowable]]:
    """Reads a text: `title:` and `author:`, then blocks parted by blank lines.

    A block that starts with `# ` is a heading; lines that start with `| ` keep their breaks (addresses, say).
    """
    head, *blocks = source.read_text(encoding="utf-8").strip().split("\n\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    title, author = fields["title"], fields["author"]
    opening = [Paragraph(escape(title), TITLE), Paragraph(escape(author), AUTHOR)]
    return title, author, [*opening, *map(paragraph, blocks)]


def paragraph(block: str) -> Paragraph:
    """Sets one block of a text."""
    if block.startswith("# "):
        return Paragraph(escape(block[2:]), HEADING)
    if block.startswith("| "):
        return Paragraph("<br/>".join(escape(line[2:]) for line in block.splitlines()), BODY)
    return Paragraph(escape(block), BODY)


def invoice(source: Path) -> tuple[str, str, list[Flowable]]:
    """Reads an invoice: its numbers, its dates and its lines of [description, quantity, unit price]."""
    data = json.loads(source.read_text(encoding="utf-8"))
    title = f"Invoice {data['number']}"
    facts = [
        f"Invoice number: {data['number']}",
        f"Invoice date: {data['issued']}",
        f"Due date: {data['due']}",
        f"Purchase order: {data['order']}",
    ]
    story = [
        Paragraph(title, TITLE),
        Paragraph("From: Supplier, 1 Example Road, Example Town", PLAIN),
        Paragraph("Bill to: Customer, 2 Sample Street, Sample City", PLAIN),
        Paragraph("<br/>".join(facts), PLAIN),
        Spacer(1, 4 * mm),
        lines_table(data),
        Spacer(1, 6 * mm),
        Paragraph(f"Payment terms: please pay the amount due by {data['due']}.", PLAIN),
    ]
    return title, "Supplier", story


def lines_table(data: dict[str, Any]) -> Table:
    """Sets an invoice's lines with their amounts, and the subtotal, tax and total below them."""
    rows = [["Description", "Quantity", "Unit price", "Amount"]]
    subtotal = Decimal(0)
    for description, quantity, price in data["lines"]:
        amount = quantity * Decimal(price)
        subtotal += amount
        rows.append([description, str(quantity), price, f"{amount:,.2f}"])
    tax = (subtotal * data["tax_percent"] / 100).quantize(Decimal("0.01"))
    currency = data["currency"]
    rows += [
        ["", "", f"Subtotal {currency}", f"{subtotal:,.2f}"],
        ["", "", f"VAT {data['tax_percent']} %", f"{tax:,.2f}"],
        ["", "", f"Total due {currency}", f"{subtotal + tax:,.2f}"],
    ]
    return Table(rows, colWidths=[72 * mm, 22 * mm, 30 * mm, 26 * mm], repeatRows=1, style=TABLE)


TABLE = TableStyle(
    [
        ("FONT", (0, 0), (-1, -1), "Helvetica", 10),
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 10),
        ("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 10),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, RULE),
        ("LINEABOVE", (0, -3), (-1, -3), 0.8, RULE),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
    ]
)


if __name__ == "__main__":
    main()
