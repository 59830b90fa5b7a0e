"""What the placeholders of one call stand for. It lives as long as the call, in memory, and shows itself to nobody."""

import json
import re
from collections import Counter
from collections.abc import Iterable

PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*_[1-9][0-9]*\]")
"""What a placeholder looks like: ``[EMAIL_1]``."""


_BEGINNING = re.compile(r"\[(?:[A-Z][A-Z0-9_]*)?")
"""What may become one."""

FEW = 64
"""So many originals can be looked for letter by letter at once; the time for more would grow with their number."""

_ESCAPE = r"\\u[0-9A-Fa-f]{4}|\\."
"""One character of a JSON string; no original begins in the middle of it."""


class Vault:
    """Gives placeholders, by first appearance: the same texts in the same order always get the same ones."""

    __slots__ = ("_known", "_last", "_longest", "_originals", "_placeholders", "_taken")

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """``taken`` are placeholders that stand for something else already."""
        self._taken = set(taken)
        self._last: Counter[str] = Counter()
        self._longest = 0
        self._placeholders: dict[str, str] = {}
        self._originals: dict[str, str] = {}
        self._known: dict[bool, re.Pattern[str]] = {}

    def __len__(self) -> int:
        return len(self._originals)

    def reserve(self, text: str) -> None:
        """Give no placeholder that somebody has written into a text."""
        if "[" in text:
            self._taken.update(found for found in PLACEHOLDER.findall(text) if found not in self._originals)

    def placeholder(self, kind: str, original: str) -> str:
        """What stands for the original."""
        known = self._placeholders.get(original)
        if known is not None:
            return known
        name = kind.upper()
        while (made := f"[{name}_{self._next(name)}]") in self._taken:
            pass
        self._placeholders[original] = made
        self._originals[made] = original
        self._longest = max(self._longest, len(made))
        self._known.clear()
        return made

    def knows(self, original: str) -> bool:
        """Whether something stands for it."""
        return original in self._placeholders

    def hidden(self, text: str, *, in_json: bool = False) -> str:
        """The text with its placeholders in the places of originals that are known by now: ``restored`` undone.

        Unchanged when there are more than a ``FEW``.
        """
        if not 0 < len(self._placeholders) <= FEW:
            return text
        return self._originals_in(in_json).sub(
            lambda found: self._placeholders[_read(found[1], in_json)] if found[1] else found[0], text
        )

    def restored(self, text: str, *, in_json: bool = False) -> str:
        """The text with originals in the places of placeholders; ``in_json``: it is the text of a JSON document."""
        return PLACEHOLDER.sub(lambda found: self._original(found[0], in_json), text)

    def may_go_on(self, text: str) -> bool:
        """Whether the text may be the beginning of a placeholder that stands for something."""
        return len(text) < self._longest and _BEGINNING.fullmatch(text) is not None

    def _next(self, name: str) -> int:
        self._last[name] += 1
        return self._last[name]

    def _original(self, placeholder: str, in_json: bool) -> str:
        original = self._originals.get(placeholder)
        if original is None:
            return placeholder
        return _written(original) if in_json else original

    def _originals_in(self, in_json: bool) -> re.Pattern[str]:
        pattern = self._known.get(in_json)
        if pattern is None:
            # The longest first: a shorter one may be a part of it.
            texts = sorted((_written(one) if in_json else one for one in self._placeholders), key=len, reverse=True)
            originals = "|".join(map(re.escape, texts))
            passed = f"{PLACEHOLDER.pattern}|{_ESCAPE}" if in_json else PLACEHOLDER.pattern
            pattern = self._known[in_json] = re.compile(f"({originals})|{passed}")
        return pattern


def _written(text: str) -> str:
    """As it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _read(text: str, in_json: bool) -> str:
    return str(json.loads(f'"{text}"', strict=False)) if in_json else text
