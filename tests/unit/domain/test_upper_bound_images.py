"""Pictures by the examples that providers publish, and their sizes out of real files."""

import base64
import io

import pytest
from PIL import Image

from send2llm.domain.completion import Parameters
from send2llm.domain.message import ImagePart, Message
from send2llm.domain.upper_bound import Allowances, allowances_for, most_input_tokens
from send2llm.domain.upper_bound.image_size import ImageSize, size_in_url
from send2llm.domain.upper_bound.image_tokens import (
    ANY_PATCHES,
    CLAUDE_PATCHES,
    GPT_4O_MINI_TILES,
    GPT_4O_TILES,
    GPT_MINI_PATCHES,
    Patches,
)

SQUARE = ImageSize(1024, 1024)
PHOTO = ImageSize(4032, 3024)


def data_url(kind, size, **options):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.mark.parametrize(
    ("rule", "size", "detail", "published"),
    [
        (GPT_4O_TILES, SQUARE, "high", 765),
        (GPT_4O_TILES, ImageSize(2048, 4096), "high", 1105),
        (GPT_4O_TILES, PHOTO, "low", 85),
        (GPT_4O_MINI_TILES, SQUARE, "high", 25501),
        (GPT_MINI_PATCHES, SQUARE, None, 2520),
        (CLAUDE_PATCHES, SQUARE, None, 1369),
        (Patches(32, 30_000, 120), PHOTO, "auto", 14364),
        (Patches(32, 10_000, 120), SQUARE, None, 1229),
    ],
)
def test_published_examples(rule, size, detail, published):
    assert rule.tokens(size, detail) == published


@pytest.mark.parametrize("rule", [GPT_4O_TILES, GPT_MINI_PATCHES, CLAUDE_PATCHES])
@pytest.mark.parametrize("size", [None, ImageSize(1, 1), SQUARE, PHOTO, ImageSize(60_000, 16), ImageSize(0, 0)])
@pytest.mark.parametrize("detail", [None, "low", "high", "auto", "original"])
def test_the_rule_for_unknown_models_covers_the_others(rule, size, detail):
    assert rule.tokens(size, detail) <= ANY_PATCHES.tokens(size, detail)


@pytest.mark.parametrize("rule", [ANY_PATCHES, GPT_4O_TILES, GPT_4O_MINI_TILES, GPT_MINI_PATCHES, CLAUDE_PATCHES])
@pytest.mark.parametrize("size", [ImageSize(1, 1), SQUARE, PHOTO, ImageSize(60_000, 60_000), ImageSize(3, 60_000)])
def test_a_picture_of_unknown_size_counts_as_the_largest(rule, size):
    assert rule.tokens(size, None) <= rule.tokens(None, None)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("gpt-4o-mini", GPT_4O_MINI_TILES),
        ("gpt-4o-2024-08-06", GPT_4O_TILES),
        ("gpt-4.1-nano", GPT_MINI_PATCHES),
        ("gpt-6-astra", ANY_PATCHES),
        ("anthropic/claude-sonnet-5", CLAUDE_PATCHES),
        ("qwen3-vl", ANY_PATCHES),
    ],
)
def test_the_rule_of_a_model(model, rule):
    assert allowances_for(model).images == rule


@pytest.mark.parametrize("size", [(1, 1), (640, 480), (70, 2000)])
@pytest.mark.parametrize("options", [{"kind": "PNG"}, {"kind": "JPEG"}, {"kind": "JPEG", "progressive": True}])
def test_the_size_of_a_png_or_jpeg(size, options):
    assert size_in_url(data_url(size=size, **options)) == size


@pytest.mark.parametrize("metadata", [b"x" * 3000, b"x" * 60_000, b"\xff\xd8\xff\xc0\0\x11\x08\0\x01\0\x01" * 1000])
def test_the_size_behind_metadata_and_thumbnails(metadata):
    assert size_in_url(data_url("JPEG", (640, 480), exif=b"Exif\0\0" + metadata)) == (640, 480)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "data:image/png;base64,",
        "data:image/png;base64,not base64!",
        "data:image/png,raw",
        "data:",
        "data:image/jpeg;base64,/9j/",
        "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8" + b"\xff" * 99).decode(),
        "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff\xe0\0\0" * 20).decode(),
        "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\x01\0\0\0").decode(),
        data_url("GIF", (64, 64)),
        data_url("WEBP", (64, 64)),
        data_url("PNG", (64, 64))[:40],
    ],
)
def test_a_size_that_cannot_be_read_is_unknown(url):
    assert size_in_url(url) is None


def test_a_small_picture_is_not_taken_for_its_base64():
    exact = Allowances(0, CLAUDE_PATCHES)
    empty = most_input_tokens([], Parameters(), exact)
    url = data_url("PNG", (280, 280), compress_level=0)
    assert len(url) > 200_000
    tokens = most_input_tokens([Message("user", (ImagePart(url),))], Parameters(), exact) - empty
    assert 100 <= tokens <= 200
