from dataclasses import replace
from uuid import UUID

import pytest
from exchanges import command, exchange

from send2llm.application.outgoing import Outgoing
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import ConfigurationError, InvalidRequest
from send2llm.domain.message import ImagePart, Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.handlers.normalise import MergingNormalise, normalise

DECOMPOSED = "u\N{COMBINING DIAERESIS}ber \N{LATIN SMALL LIGATURE FI}"


def user(*texts):
    return Message("user", tuple(map(TextPart, texts)))


async def normal(*messages, **options):
    return (await normalise(options).on_request(command(*messages), exchange())).messages


def outgoing(*messages):
    return Outgoing(UUID(int=1), UUID(int=2), messages, messages, 0, Parameters(), ())


@pytest.mark.parametrize(
    ("options", "text"),
    [({}, "über \N{LATIN SMALL LIGATURE FI}"), ({"form": "NFKC"}, "über fi"), ({"form": "none"}, DECOMPOSED)],
)
async def test_letters_get_one_form(options, text):
    assert list(await normal(user(DECOMPOSED), **options)) == [user(text)]


async def test_control_characters_go_unless_they_are_wanted():
    told = user("a\0b\tc\nd\x7f\x85 \ud83d")
    assert await normal(told) == [user("ab\tc\nd \ufffd")]
    assert await normal(user("a\0b"), control_characters=True) == (user("a\0b"),)


async def test_what_says_nothing_goes():
    picture = Message("user", (TextPart(""), ImagePart("https://x/y.png")))
    told = (user(""), picture, user("\0"), Message("user", ()), user("Hi"))
    assert await normal(*told) == [Message("user", (ImagePart("https://x/y.png"),)), user("Hi")]
    assert await normal(*told[:2], drop_empty=False) == told[:2]


async def test_a_result_of_a_tool_stays_even_if_it_is_empty():
    result = Message("tool", (ToolResultPart("1", "\0"),))
    assert await normal(result) == [Message("tool", (ToolResultPart("1", ""),))]


async def test_nothing_left_to_say_is_refused():
    with pytest.raises(InvalidRequest) as refused:
        await normal(user(""))
    assert refused.value.param == "messages"


async def test_an_assistants_words_stay_to_the_letter():
    told = (Message("assistant", (TextPart(DECOMPOSED), TextPart(""), ToolCallPart("1", "f", DECOMPOSED))), user("Hi"))
    asked = command(*told)
    assert await normalise({}).on_request(asked, exchange()) is asked


async def test_messages_are_merged_only_where_it_is_wanted_and_only_in_what_is_sent():
    told = (user("a"), user("b"), Message("assistant", (TextPart("c"),)), user("d"), replace(user("e"), name="ann"))
    handler = normalise({"merge": ["user"]})
    assert (await handler.on_request(command(*told), exchange())).messages == told
    sent = await handler.on_transcript(outgoing(*told), exchange())
    assert sent.messages == [user("a", "b"), *told[2:]]
    assert sent.transcript == told
    assert not isinstance(normalise({}), MergingNormalise)


def test_results_of_tools_are_never_merged():
    with pytest.raises(ConfigurationError, match="merge"):
        normalise({"merge": ["tool"]})
