"""No normalisation makes a text longer than the bound says."""

import sys
from unicodedata import combining, decomposition, normalize

import pytest
from hypothesis import example, given, settings, strategies as st

from send2llm.domain.upper_bound import most_text_tokens, normal_forms
from send2llm.domain.upper_bound.normal_forms import UNDONE_COMPOSITION_BYTES, most_growth, utf8_length

ALL = [chr(code) for code in range(sys.maxunicode + 1)]
DIFFICULT = [char for char in ALL if decomposition(char) or combining(char)] + list("\u1100\u1161\u11a8\uac00aA ")
MARKS = [char for char in ALL if combining(char)]
FORMS = ("NFC", "NFKC")


def longest_form(text):
    return max(utf8_length(text), *(utf8_length(normalize(form, text)) for form in FORMS))


def test_each_character_of_unicode_is_bounded_exactly():
    assert [char for char in ALL if most_text_tokens(char) != longest_form(char)] == []


def test_no_composition_saves_more_than_is_allowed_for_undoing_it():
    saved = (
        utf8_length(normalize(apart, char)) - utf8_length(normalize(together, char))
        for char in ALL
        if not "가" <= char <= "힣"
        for apart, together in (("NFD", "NFC"), ("NFKD", "NFKC"))
    )
    assert max(saved) == UNDONE_COMPOSITION_BYTES


@given(st.text(st.sampled_from(DIFFICULT)))
@example("ǖ\u0328")  # comes apart: 4 bytes become 6
@example("\u1f82\u0328")
@example("\ufdfa" * 3)
@settings(max_examples=500)
def test_difficult_characters_in_any_order(text):
    assert longest_form(text) <= most_text_tokens(text)


@given(st.lists(st.tuples(st.sampled_from(DIFFICULT), st.text(st.sampled_from(MARKS), max_size=4))))
@settings(max_examples=500)
def test_composed_characters_with_marks(clusters):
    text = "".join(char + marks for char, marks in clusters)
    assert longest_form(text) <= most_text_tokens(text)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_with_lone_surrogates_too(text):
    assert longest_form(text) <= most_text_tokens(text)


@given(st.text(), st.text())
def test_more_text_never_has_a_lower_bound(text, more):
    assert most_text_tokens(text) <= most_text_tokens(text + more)


@pytest.mark.parametrize(
    "text",
    [
        "Plain ASCII.",
        "Père Noël, déjà vu: Straße, Łódź, naïve coöperation",
        "Привет, мир! Καλημέρα κόσμε",
        "今天天气很好。我们去公园吧。「日本語」\uff0c\uff01",
        "안녕하세요 세계",
        "नमस्ते दुनिया สวัสดีครับ Tiếng Việt",
        "👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 ©™…“quoted”",
    ],
)
def test_ordinary_text_is_bounded_by_its_own_bytes(text):
    assert most_text_tokens(text) == len(text.encode())


@pytest.mark.parametrize("unit", ["\u0300\u0327\u0316\u0345", "a\u0300\u0316", "ǖ\u0328", "\ufdfa", "한글"])
def test_no_text_is_normalised_for_its_bound(unit, monkeypatch):
    one = most_growth(unit)  # the first one reads the tables, which takes normalising single characters

    def quadratic(form, text):
        raise AssertionError(f"{form} of {len(text)} characters takes quadratic time.")

    monkeypatch.setattr(normal_forms, "normalize", quadratic)
    assert one * 80_000 <= most_growth(unit * 80_000) <= (one + UNDONE_COMPOSITION_BYTES) * 80_000
