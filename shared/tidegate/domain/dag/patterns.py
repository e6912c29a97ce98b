"""Regular expressions whose time grows only with the length of the text: no backtracking.

The usual notation without back-references and look-around: `.` `[a-z]` `\\d \\w \\s` `( )` `|` `* + ? {m,n}` `^ $`.
The pattern becomes a nondeterministic automaton that is run over the text with all its states at once
(Thompson 1968), so the work is at most length of text × size of pattern.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

MAX_PATTERN = 200
MAX_STATES = 2_000
MAX_TEXT = 10_000
"""Characters of the text that are looked at."""

Accepts = Callable[[str], bool]
_CLASSES: dict[str, Accepts] = {
    "d": str.isdigit,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(slots=True, eq=False)
class _State:
    """A point of the automaton: either it takes a character, or it leads on for free."""

    accepts: Accepts | None = None
    anchor: str = ""
    out: list[_State] = field(default_factory=list)


@dataclass(slots=True)
class _Piece:
    """Part of an automaton with one way in and one way out."""

    start: _State
    end: _State


class Pattern:
    """A compiled pattern. Raises InvalidInput naming `place` for what cannot be compiled."""

    def __init__(self, text: Json, place: str = "value") -> None:
        if not isinstance(text, str) or len(text) > MAX_PATTERN:
            raise InvalidInput.field(place, f"must be a regular expression of at most {MAX_PATTERN} characters")
        self.text = text
        self._piece = _Parser(text, place).parse()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the first `MAX_TEXT` characters of `text`."""
        text = text[:MAX_TEXT]
        states: dict[_State, None] = {}
        for position in range(len(text) + 1):
            _follow(self._piece.start, states, position, len(text))
            if self._piece.end in states:
                return True
            if position == len(text):
                break
            character, nexts = text[position], dict[_State, None]()
            for state in states:
                if state.accepts is not None and state.accepts(character):
                    _follow(state.out[0], nexts, position + 1, len(text))
            states = nexts
            if self._piece.end in states:
                return True
        return False


def _follow(state: _State, states: dict[_State, None], position: int, end: int) -> None:
    """Add a state and all that it leads to for free at this position."""
    waiting = [state]
    while waiting:
        here = waiting.pop()
        if here in states or (here.anchor == "^" and position > 0) or (here.anchor == "$" and position < end):
            continue
        states[here] = None
        if here.accepts is None:
            waiting += here.out


class _Parser:
    """Recursive descent over `alternatives := sequence ('|' sequence)*`."""

    def __init__(self, text: str, place: str) -> None:
        self._text, self._place = text, place
        self._position = self._states = self._depth = 0

    def parse(self) -> _Piece:
        piece = self._alternatives()
        if self._position < len(self._text):
            raise self._wrong("an unexpected ')'")
        return piece

    def _alternatives(self) -> _Piece:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._position += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else self._either(branches)

    def _sequence(self) -> _Piece:
        start = end = self._state()
        while self._peek() not in {"", "|", ")"}:
            piece = self._repeated()
            end.out.append(piece.start)
            end = piece.end
        return _Piece(start, end)

    def _repeated(self) -> _Piece:
        begin = self._position
        piece = self._atom()
        stop = self._position
        bounds = self._bounds()
        if bounds is None:
            return piece
        if self._peek() in {"*", "+", "?", "{"}:
            raise self._wrong("a repetition of a repetition")
        after = self._position
        least, most = bounds
        copies = []
        for _ in range(max(least, most if most is not None else least + 1, 1)):
            self._position = begin
            copies.append(self._atom())
            self._position = stop
        self._position = after
        return self._chain(copies, least, most)

    def _chain(self, copies: list[_Piece], least: int, most: int | None) -> _Piece:
        """`least` copies that must be there, the others that may be; the last one again and again if endless."""
        start, end = self._state(), self._state()
        here = start
        for number, copy in enumerate(copies):
            if number >= least:
                here.out.append(end)
            here.out.append(copy.start)
            here = copy.end
        here.out.append(end)
        if most is None:
            copies[-1].end.out.append(copies[-1].start)
        if most == 0:
            start.out = [end]
        return _Piece(start, end)

    def _bounds(self) -> tuple[int, int | None] | None:
        sign = self._peek()
        if sign in {"*", "+", "?"}:
            self._position += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        if sign != "{":
            return None
        close = self._text.find("}", self._position)
        parts = self._text[self._position + 1 : close].split(",")
        if close < 0 or len(parts) > 2 or not parts[0].isdecimal() or not (parts[-1].isdecimal() or parts[-1] == ""):
            raise self._wrong("a repetition that is not {n}, {n,} or {n,m}")
        self._position = close + 1
        least = int(parts[0])
        most = least if len(parts) == 1 else int(parts[1]) if parts[1] else None
        if least > 100 or (most is not None and not least <= most <= 100):
            raise self._wrong("a repetition outside 0 to 100")
        return least, most

    def _atom(self) -> _Piece:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._taking(self._set())
        if character in {"^", "$"}:
            state = self._state()
            state.anchor = character
            return _Piece(state, state)
        if character in {"*", "+", "?", "{"}:
            raise self._wrong("a repetition of nothing")
        if character == ".":
            return self._taking(lambda c: c != "\n")
        if character == "\\":
            return self._taking(self._escape())
        return self._taking(lambda c, wanted=character: c == wanted)  # type: ignore[misc]

    def _group(self) -> _Piece:
        if self._text.startswith("?", self._position):
            if not self._text.startswith("?:", self._position):
                raise self._wrong("a group other than ( ) and (?: )")
            self._position += 2
        self._depth += 1
        if self._depth > 20:
            raise self._wrong("groups nested deeper than 20")
        piece = self._alternatives()
        self._depth -= 1
        if self._next() != ")":
            raise self._wrong("a '(' without ')'")
        return piece

    def _set(self) -> Accepts:
        negated = self._peek() == "^"
        self._position += negated
        members: list[Accepts] = []
        while self._peek() != "]" or not members:
            members.append(self._member())
        self._position += 1
        return lambda c: any(member(c) for member in members) != negated

    def _member(self) -> Accepts:
        low = self._next()
        if low == "\\":
            return self._escape()
        if self._peek() == "-" and self._text[self._position + 1 : self._position + 2] not in {"]", ""}:
            self._position += 1
            high = self._next()
            if high < low:
                raise self._wrong("a range that runs backwards")
            return lambda c: low <= c <= high
        return lambda c: c == low

    def _escape(self) -> Accepts:
        letter = self._next()
        if letter.lower() in _CLASSES:
            accepts = _CLASSES[letter.lower()]
            return accepts if letter.islower() else lambda c: not accepts(c)
        if letter.isalnum() and letter not in _ESCAPES:
            raise self._wrong(f"the escape \\{letter}")
        wanted = _ESCAPES.get(letter, letter)
        return lambda c: c == wanted

    def _taking(self, accepts: Accepts) -> _Piece:
        start, end = self._state(), self._state()
        start.accepts = accepts
        start.out.append(end)
        return _Piece(start, end)

    def _either(self, branches: list[_Piece]) -> _Piece:
        start, end = self._state(), self._state()
        for branch in branches:
            start.out.append(branch.start)
            branch.end.out.append(end)
        return _Piece(start, end)

    def _state(self) -> _State:
        self._states += 1
        if self._states > MAX_STATES:
            raise self._wrong("more repetitions than can be kept")
        return _State()

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise self._wrong("an end where more is needed")
        self._position += 1
        return character

    def _wrong(self, what: str) -> InvalidInput:
        return InvalidInput.field(self._place, f"is not a usable regular expression: {what}")
