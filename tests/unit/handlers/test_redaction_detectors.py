import time

import pytest
from exchanges import command, exchange

from send2llm.domain.errors import InvalidRequest
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.handlers.redact import Redact
from send2llm.infrastructure.handlers.redaction.detectors import DETECTORS, phone_numbers
from send2llm.infrastructure.handlers.redaction.own_pattern import OwnPattern

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

FOUND = {
    "private_key": [KEY, "-----BEGIN PRIVATE KEY-----\nabc\n", PGP],
    "jwt": [JWT],
    "api_key": [
        "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789",
        "sk-ant-api03-abcdefghijklmnop_qrs-tuv",
        "sk-or-v1-0123456789abcdef0123",
        "gsk_abcdefghijklmnopqrstuvwx",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz01234",
        "AKIAIOSFODNN7EXAMPLE",
        "hf_abcdefghijklmnopqrstuvwx",
        "xai-abcdefghijklmnopqrstuvwx",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    ],
    "email": ["ann@example.com", "a.b+c_d%e@mail.sub.example.co.uk", "jürgen@müller.de", "x@xn--mller-kva.xn--p1ai"],
    "iban": [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "gb82 west 1234 5698 7654 32",
        "NO93 8601 1117 947",
    ],
    "credit_card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "6011111111111117",
    ],
    "ip": ["10.0.0.1", "255.255.255.255", "2001:db8::1", "fe80::1ff:fe23:4567:890a"],
    "phone": ["+49 30 901820", "+1 (415) 555-2671", "+442083661177"],
}

LEFT = {
    "private_key": ["BEGIN PRIVATE KEY", "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9", "eyJ.eyJ.x"],
    "api_key": ["sk-short", "task-abcdefghijklmnopqrst", "a risk-assessment-of-everything"],
    "email": ["ann@", "@example.com", "ann@localhost", "ann@example.c", "5 @ 3.00"],
    "iban": [
        "DE89370400440532013001",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "DE89 3704 0044 0532 0130 001",
    ],
    "credit_card": ["4111111111111112", "1234567812345670", "411111111111", "94111111111111111", "0.4111111111111111"],
    "ip": ["1.2.3", "256.1.1.1", "1.2.3.4.5", "12:30:45", "std::vector", "a.b.c.d", "10:20", "https://x:80/y:z"],
    "phone": ["123456789", "2026-11-23", "+12", "1+1=2", "+49 30"],
}


def found(kind, text):
    return [text[begin:end] for begin, end in DETECTORS[kind](text)]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in FOUND.items() for value in values])
def test_finds(kind, value):
    assert found(kind, value) == [value]
    if kind != "private_key":
        assert found(kind, f"It is {value}, or ({value}).") == [value, value]
        assert found(kind, f"<{value}>\n{value}") == [value, value]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in LEFT.items() for value in values])
def test_leaves(kind, value):
    assert found(kind, value) == []
    assert found(kind, f"It is {value} here") == []


def test_what_follows_is_no_part_of_it():
    assert found("credit_card", "4111 1111 1111 1111 and 5555 5555 5555 4444") == [
        "4111 1111 1111 1111",
        "5555 5555 5555 4444",
    ]
    assert found("credit_card", "4111 1111 1111 1111 123") == ["4111 1111 1111 1111"]
    assert found("ip", "::ffff:192.0.2.1") == ["::ffff:192.0.2.1", "192.0.2.1"]  # the first one counts
    assert found("ip", "It is fe80::1: the one of 10.0.0.1.") == ["fe80::1", "10.0.0.1"]
    assert found("iban", "DE89 3704 0044 0532 0130 00 THANK YOU") == ["DE89 3704 0044 0532 0130 00"]


def test_a_region_has_its_own_numbers():
    text = "Call 030 901820 today."
    assert found("phone", text) == []
    assert [text[a:b] for a, b in phone_numbers("DE")(text)] == ["030 901820"]


FOR_EVER = 20.0
"""Seconds of the processor: twenty times what the slowest takes, and far less than what backtracking would."""

HOSTILE = [
    "a" * 50_000,
    "1" * 50_000,
    "1 " * 25_000,
    ":" * 50_000,
    "1." * 25_000,
    "a@" * 25_000,
    "a." * 25_000 + "@",
    "@" + "a." * 25_000,
    "eyJ" * 15_000,
    "-----BEGIN PRIVATE KEY-----" * 2_000,
    "-----BEGIN " * 5_000,
    "+1" * 25_000,
    "DE89" * 12_000,
    "DE89 " * 10_000,
    "sk-" * 16_000,
    "[" * 50_000,
    "4-" * 25_000,
]


@pytest.mark.parametrize("kind", DETECTORS)
def test_no_text_takes_for_ever(kind):
    for text in HOSTILE:
        began = time.process_time()
        found(kind, text)
        assert time.process_time() - began < FOR_EVER, text[:20]


def test_a_pattern_of_ones_own_has_its_time():
    text = "a" * 40 + "!"
    with pytest.raises(InvalidRequest, match="SLOW takes too long"):
        list(OwnPattern("SLOW", "(a|aa)+$", 0.02)(text * 10))
    assert list(OwnPattern("CUSTOMER", r"C-\d{6}", 0.05)("C-123456 and C-12")) == [(0, 8)]


@pytest.mark.parametrize(("pattern", "words"), [("(", "no regular expression"), ("a*", "matches an empty text")])
def test_a_pattern_that_cannot_work_is_refused(pattern, words):
    with pytest.raises(ValueError, match=words):
        OwnPattern("X", pattern, 0.05)


async def test_a_text_full_of_personal_data_takes_no_long_time_either():
    many = [f"ann{number}@example.com" for number in range(20_000)]
    said = Message("assistant", (TextPart(" ".join(many)),))
    messages = (Message("user", (TextPart(", ".join(many)),)), said, Message("user", (TextPart("[" * 50_000),)))
    calls = exchange()
    began = time.process_time()
    sent = await Redact({}).on_request(command(*messages), calls)
    assert time.process_time() - began < FOR_EVER
    assert "@" not in sent.messages[0].text + sent.messages[1].text
    assert sent.messages[1].text.startswith("[EMAIL_1] [EMAIL_2] ")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_takes_for_ever_with_a_region(text):
    began = time.process_time()
    list(phone_numbers("DE")(text))
    assert time.process_time() - began < FOR_EVER
