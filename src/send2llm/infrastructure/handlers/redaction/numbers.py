"""Numbers that prove themselves: IBANs and payment cards."""

import re
from collections.abc import Iterator

Span = tuple[int, int]
"""Where something begins and ends in a text."""

_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ DZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
        30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Characters of an IBAN by country: the IBAN registry of SWIFT."""

_IBAN_DIGITS = re.compile(r"[0-9]{2}(?=[ -]?[A-Za-z0-9]{2})")
"""The checksum; it stands behind the country, and digits are rarer than letters."""
_IBAN_BEGINNING = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
_IBAN_STEP = re.compile(r"[ -]?[A-Za-z0-9]")
_WORD = re.compile(r"[A-Za-z0-9]")

_CARD = re.compile(r"(?<![0-9.-])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])")
_SHORTEST_CARD = 13


def ibans(text: str) -> Iterator[Span]:
    """IBANs whose length and checksum are right, with single spaces or dashes between or without."""
    for checksum in _IBAN_DIGITS.finditer(text):
        beginning = _IBAN_BEGINNING.match(text, max(0, checksum.start() - 2))
        if beginning is None or beginning.end() != checksum.end():
            continue
        length = _IBAN_LENGTHS.get(beginning[0][:2].upper())
        if length is None:
            continue
        end, found = beginning.end(), beginning[0]
        while len(found) < length and (step := _IBAN_STEP.match(text, end)):
            end, found = step.end(), found + step[0][-1]
        if len(found) == length and not _WORD.match(text, end) and _is_iban(found):
            yield beginning.start(), end


def cards(text: str) -> Iterator[Span]:
    """Numbers of payment cards whose beginning, length and check digit (Luhn) are right."""
    for run in _CARD.finditer(text):
        end = run.end()
        # What follows behind a space may be another number.
        while end > run.start():
            digits = re.sub("[ -]", "", text[run.start() : end])
            if len(digits) < _SHORTEST_CARD:
                break
            if _is_card(digits):
                yield run.start(), end
                break
            end = max(text.rfind(" ", run.start(), end), text.rfind("-", run.start(), end))


def _is_iban(text: str) -> bool:
    """ISO 13616: the first four characters go to the end, letters count from 10, and the rest by 97 is 1."""
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def _is_card(digits: str) -> bool:
    doubled = [int(digit) for digit in digits[-2::-2]]
    total = sum(int(digit) for digit in digits[::-2]) + sum(2 * digit - 9 * (digit > 4) for digit in doubled)
    return total % 10 == 0 and len(digits) in _card_lengths(digits)


def _card_lengths(digits: str) -> range:
    """By the beginning of the number: which networks issue what (ISO/IEC 7812)."""
    if digits[0] == "4":
        return range(13, 20)
    if digits[:2] in ("34", "37"):
        return range(15, 16)
    if digits[:2] in ("36", "38", "39") or "300" <= digits[:3] <= "305":
        return range(14, 20)
    if "51" <= digits[:2] <= "55" or "2221" <= digits[:4] <= "2720":
        return range(16, 17)
    if digits[:2] in ("35", "50", "62", "65") or digits[:4] == "6011" or digits[0] == "6":
        return range(13, 20)
    return range(0)
