"""How much longer Unicode normalisation can make a text: bounded in one pass, without normalising.

``unicodedata.normalize`` takes quadratic time for long runs of combining marks, and microseconds for the text of a
usual request. So the bound is put together from what each character can grow by:

- a character alone grows from its own bytes to those of its NFC or NFKC form, whichever is longer;
- a composed character may come apart when a combining mark follows it: ``ǖ`` and an ogonek are 4 bytes, and 6 as
  ``ų`` with two marks. That costs at most ``UNDONE_COMPOSITION_BYTES``, once for each run of marks.

Composition across characters only shortens. The tests compare all of Unicode's characters, and random sequences of
the difficult ones, with Python's own normalisation.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import NamedTuple
from unicodedata import combining, decomposition, normalize

UNDONE_COMPOSITION_BYTES = 9
"""The most that composition saves in any one character (U+327C, five jamo of 3 bytes that make two syllables)."""

_BLOCKS = ((0x80, 0x3400), (0xA000, 0xAC00), (0xF900, 0x17000), (0x1B000, 0x20000), (0x2F800, 0x2FA20))
"""Where characters with decompositions are. Between are ideographs, Hangul (whose syllables are made of starters, so
that no mark takes them apart), surrogates, private use and Tangut, which have none."""


class _Tables(NamedTuple):
    growth: dict[str, int]
    growing: re.Pattern[str]
    composed: frozenset[str]
    marks: frozenset[str]
    undone: re.Pattern[str]


def most_growth(text: str) -> int:
    """The most bytes that NFC or NFKC add to the UTF-8 form of ``text``; linear in its length.

    The first call reads Python's Unicode tables, some hundredths of a second.
    """
    tables = _tables()
    # Most texts have no such character, and collecting the characters is faster than searching.
    characters = set(text)
    growth = 0
    if not tables.growth.keys().isdisjoint(characters):
        growth = sum([tables.growth[character] for character in tables.growing.findall(text)])
    if not tables.composed.isdisjoint(characters) and _has_marks(characters, tables):
        growth += UNDONE_COMPOSITION_BYTES * len(tables.undone.findall(text))
    return growth


def _has_marks(characters: set[str], tables: _Tables) -> bool:
    return max(characters) > "\uffff" or not tables.marks.isdisjoint(characters)


@cache
def _tables() -> _Tables:
    growth: dict[str, int] = {}
    composed: list[str] = []
    marks: list[str] = []
    for character in map(chr, chain.from_iterable(range(first, end) for first, end in _BLOCKS)):
        if not decomposition(character):
            if combining(character):
                marks.append(character)
            continue
        length = utf8_length(character)
        canonical, compatible = (utf8_length(normalize(form, character)) for form in ("NFC", "NFKC"))
        if max(canonical, compatible) > length:
            growth[character] = max(canonical, compatible) - length
        full = normalize("NFKD", character)
        if utf8_length(full) > compatible or utf8_length(normalize("NFD", character)) > canonical:
            composed.append(character)
        if combining(full[0]):
            marks.append(character)
    # The regular expressions of Python are slow with many ranges beyond U+FFFF: there, all may be marks.
    bmp_marks = _ranges(mark for mark in marks if mark <= "\uffff")
    return _Tables(
        growth,
        re.compile(f"[{_ranges(growth)}]"),
        frozenset(composed),
        frozenset(marks),
        re.compile(f"[{_ranges(composed)}](?=[{bmp_marks}\U00010000-\U0010ffff])"),
    )


def _ranges(characters: Iterable[str]) -> str:
    """The ``characters``, which are in order and none of them ASCII, as the inside of a character class."""
    return "".join(f"{first}-{last}" for first, last in _runs(characters))


def _runs(characters: Iterable[str]) -> Iterator[tuple[str, str]]:
    first = last = ""
    for character in characters:
        if last and ord(character) == ord(last) + 1:
            last = character
            continue
        if first:
            yield first, last
        first = last = character
    if first:
        yield first, last


def utf8_length(text: str) -> int:
    """Bytes of ``text``. A lone surrogate, which JSON can carry, counts as the U+FFFD that it becomes: 3 bytes."""
    return len(text.encode("utf-8", "surrogatepass"))
