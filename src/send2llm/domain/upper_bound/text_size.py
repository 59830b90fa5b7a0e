"""How many tokens a text can have: no more than bytes.

Each token of a byte-level BPE stands for at least one byte of the text, and so does each token of SentencePiece,
which falls back to single bytes for what it does not know. What remains is that a tokeniser may normalise the text
first, and then counts the bytes of *that* text:

- none (OpenAI, Mistral, Llama, DeepSeek, Gemma): the text's own bytes;
- NFC (Qwen, Command R, OLMo, GPT-NeoX): at most three times as many (U+1D160), usually as many;
- NFKC (Claude's published tokeniser, SentencePiece's ``nmt_nfkc``): at most eleven times as many (U+FDFA).

So a text counts with the most that normalisation can add (``normal_forms``), which is nothing for ASCII and next to
nothing for most other text. Python's version of Unicode decides; a newer one cannot change what this one knows
(Unicode's stability policy).
"""

import json
import re

from send2llm.domain.upper_bound.normal_forms import most_growth, utf8_length

ELEMENT_TOKENS = 8
"""For each element of a JSON value which a template may write in another way than compact JSON.

An element (what follows ``,``, ``{`` or ``[``) may get a line, an indentation, and the same again for its closing
bracket (Llama 3.1: ``tojson(indent=4)``): 5. As a parameter in XML (Claude, Qwen3-Coder), its tags are 10 tokens, of
which the JSON has 5 already. As TypeScript (OpenAI), it has ``// ``, ``?: `` and a line end: 4. An indentation counts
as one token, or two: every vocabulary in use has runs of spaces.
"""

HTML_SAFE_BYTES = 5
"""Added by an HTML-safe ``tojson`` (plain Jinja, minijinja) to each ``<``, ``>``, ``&`` and ``'``: ``\\u003c``."""

LONGER_ESCAPE_BYTES = 3
"""Added by a ``repr`` to ``\\b`` and ``\\f`` (``\\x08``, ``\\x0c``) and to U+007F (``\\x7f``)."""

NUMBER_BYTES = 17
"""Added to a number with an exponent by languages that write it out: ``1e20`` becomes 21 digits in JavaScript."""

_EXPONENT = re.compile(r"\d[eE][+-]?\d")
_json = json.JSONEncoder(separators=(",", ":"), default=dict, check_circular=False).encode
_plain_json = json.JSONEncoder(separators=(",", ":"), default=dict, check_circular=False, ensure_ascii=False).encode


def most_text_tokens(text: str) -> int:
    """The most tokens that any tokeniser makes of ``text`` as it stands; linear in its length."""
    return len(text) if text.isascii() else utf8_length(text) + most_growth(text)


def most_json_tokens(value: object) -> int:
    """The most tokens of a JSON ``value`` in a prompt, however a template writes it: pretty, escaped, or in XML.

    A string counts as JSON text, such as the arguments of a tool call, which a template may quote, or read and write.
    """
    text = _json(value)
    elements = text.count(",") + text.count("{") + text.count("[")
    return max(_written(text, value) + ELEMENT_TOKENS * elements, _read_and_written(value))


def most_quoted_tokens(text: str) -> int:
    """The most tokens of a ``text`` which a template may write as a JSON string, or read as JSON and write again."""
    quoted = _json(text)
    return max(_written(quoted, text) + quoted.count(",") + quoted.count(":"), _read_and_written(text))


def _written(text: str, value: object) -> int:
    """Bytes of ``text``, the ``value`` in ASCII, and what writers may add.

    A writer may escape some characters and leave others as they are (Python's ``repr``), so that beside all escapes
    all that normalisation adds may be there; a plain character without that is always shorter than its escape.
    """
    size = len(text)
    if "\\u" in text:
        size += most_growth(_plain_json(value))
    if "\\" in text or "\x7f" in text:
        size += LONGER_ESCAPE_BYTES * (text.count("\\b") + text.count("\\f") + text.count("\x7f"))
    unsafe = text.count("<") + text.count(">") + text.count("&") + text.count("'")
    return size + HTML_SAFE_BYTES * unsafe + NUMBER_BYTES * len(_EXPONENT.findall(text))


def _read_and_written(value: object) -> int:
    """What JSON text comes to if its escapes are read, because a character may normalise to more than its escape."""
    if not isinstance(value, str) or "\\u" not in value:
        return 0
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return 0  # no JSON, or too deep for anybody: then it stays as it is
    return 0 if isinstance(content, str) else most_json_tokens(content)
