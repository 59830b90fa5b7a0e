import pytest
from exchanges import command, exchange

from send2llm.domain.errors import ConfigurationError, InvalidRequest
from send2llm.domain.message import ImagePart, Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.handlers.validate import Validate

HI = Message("user", (TextPart("Hi"),))
PNG = "data:image/png;base64,iVBORw0KGgo="  # 8 bytes

REFUSED = {
    "a role": ({"roles": ["user"]}, [HI, Message("system", (TextPart("x"),))], "messages.1"),
    "messages": ({"max_messages": 1}, [HI, HI], "messages"),
    "parts": ({"max_parts": 1}, [HI, Message("user", (TextPart("a"), TextPart("b")))], "messages.1"),
    "a text": ({"max_text_bytes": 3}, [Message("user", (TextPart("ok"), TextPart("zwölf")))], "messages.0.content.1"),
    "arguments": (
        {"max_text_bytes": 3},
        [Message("assistant", (ToolCallPart("1", "f", "{   }"),))],
        "messages.0.content.0",
    ),
    "a result": ({"max_text_bytes": 3}, [Message("tool", (ToolResultPart("1", "long"),))], "messages.0.content.0"),
    "all texts": ({"max_total_bytes": 3}, [HI, HI], "messages"),
    "a type of image": ({"image_types": ["image/gif"]}, [Message("user", (ImagePart(PNG),))], "messages.0.content.0"),
    "an untyped image": ({}, [Message("user", (ImagePart("data:,x"),))], "messages.0.content.0"),
    "a large image": ({"max_image_bytes": 7}, [Message("user", (ImagePart(PNG),))], "messages.0.content.0"),
    "an address": ({"image_urls": False}, [Message("user", (ImagePart("https://x/y.png"),))], "messages.0.content.0"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_too_much_is_refused_with_its_field(case):
    options, messages, param = REFUSED[case]
    asked = command(*messages)
    with pytest.raises(InvalidRequest) as refused:
        await Validate(options).on_request(asked, exchange(asked=asked))
    assert refused.value.param == param
    assert str(refused.value).startswith(param)


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        ({}, [HI, Message("tool", (ToolResultPart("1", "x" * 10_000),))]),
        ({"max_messages": 2, "max_parts": 1, "max_text_bytes": 2, "max_total_bytes": 4}, [HI, HI]),
        ({"max_image_bytes": 8, "image_types": ["IMAGE/PNG"]}, [Message("user", (ImagePart(PNG),))]),
        ({}, [Message("user", (ImagePart("https://example.com/cat.png"),))]),
    ],
)
async def test_the_rest_passes_unchanged(options, messages):
    asked = command(*messages)
    assert await Validate(options).on_request(asked, exchange()) is asked


@pytest.mark.parametrize("options", [{"max_messages": 0}, {"roles": ["boss"]}, {"max_messges": 3}])
def test_wrong_options_are_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=f"handler_options.validate.{next(iter(options))}"):
        Validate(options)
