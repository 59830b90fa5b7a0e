"""What is stored and sent has placeholders; the caller gets its own words back."""

import json

import pytest
from house import House, assistant, user

from send2llm.domain.completion import Parameters
from send2llm.domain.continuation import EarlierAnswer
from send2llm.domain.conversation_events import CompletionReceived
from send2llm.domain.errors import SensitiveData
from send2llm.domain.message import ForeignPart, Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.infrastructure.handlers.redact import Redact
from send2llm.testing.providers import answer

MINE = "ann@example.com"
PHONE = "+49 30 901820"
SECRETS = (MINE, PHONE, "bob@example.org")


@pytest.fixture
def house():
    return House(handlers=[Redact({})])


def stored(house):
    return house.store.codec and json.dumps([repr(event) for event in house.store.events])


def sent(house, call=-1):
    return [message.text for message in house.provider.calls[call].messages]


async def test_the_provider_and_the_store_get_placeholders_and_the_caller_its_own_words(house):
    house.provider.script(answer("I wrote to [EMAIL_1] and called [PHONE_1], not [EMAIL_2]."))
    reply = await house.complete(user(f"Write to {MINE}, or {PHONE}. {MINE}!"))
    assert sent(house) == ["Write to [EMAIL_1], or [PHONE_1]. [EMAIL_1]!"]
    text = reply.completion.answers[0].message.text
    assert text == f"I wrote to {MINE} and called {PHONE}, not [EMAIL_2]."
    assert reply.completion.body == b""
    assert house.last(CompletionReceived).answers[0].message.text.startswith("I wrote to [EMAIL_1]")
    assert not [secret for secret in SECRETS if secret in stored(house)]


async def test_a_history_that_is_told_again_continues_its_conversation(house):
    house.provider.script(answer("Hello [EMAIL_1]!"), answer("Both: [EMAIL_1], [EMAIL_2]."))
    first = await house.complete(user(f"I am {MINE}"))
    told = [user(f"I am {MINE}"), assistant(first.completion.answers[0].message.text)]
    second = await house.complete(*told, user("And bob@example.org is my friend"))
    assert second.conversation_id == first.conversation_id
    assert second.completion.answers[0].message.text == f"Both: {MINE}, bob@example.org."
    assert sent(house) == ["I am [EMAIL_1]", "Hello [EMAIL_1]!", "And [EMAIL_2] is my friend"]


async def test_data_that_the_model_knows_by_itself_does_not_part_a_conversation(house):
    house.provider.script(answer("Write to support@example.net."), answer("Done."))
    first = await house.complete(user("Who helps?"))
    told = [user("Who helps?"), assistant("Write to support@example.net.")]
    second = await house.complete(*told, user(f"From {MINE}"))
    assert second.conversation_id == first.conversation_id
    assert first.completion.answers[0].message.text == "Write to support@example.net."


async def test_in_a_conversation_by_its_id_new_data_gets_new_placeholders(house):
    house.provider.script(answer("Hello [EMAIL_1]!"), answer("[EMAIL_1] and [EMAIL_2]"), answer("Yes."))
    first = await house.complete(user(f"I am {MINE}"))
    more = {"conversation_id": first.conversation_id, "parts_only": True}
    second = await house.complete(user("Tell bob@example.org"), **more)
    assert sent(house)[-1] == "Tell [EMAIL_2]"
    # What the first one stands for was known only as long as the first call took.
    assert second.completion.answers[0].message.text == "[EMAIL_1] and bob@example.org"


async def test_by_its_id_a_whole_history_is_recognised_too(house):
    house.provider.script(answer("Hello [EMAIL_1]!"), answer("Yes."))
    first = await house.complete(user(f"I am {MINE}"))
    told = [user(f"I am {MINE}"), assistant(f"Hello {MINE}!"), user("bob@example.org")]
    await house.complete(*told, conversation_id=first.conversation_id)
    assert sent(house) == ["I am [EMAIL_1]", "Hello [EMAIL_1]!", "[EMAIL_2]"]


async def test_going_on_from_an_earlier_answer_new_data_gets_new_placeholders(house):
    house.provider.script(answer("Hello [EMAIL_1]!"), answer("[EMAIL_2]"))
    first = await house.complete(user(f"I am {MINE}"))
    after = EarlierAnswer(first.conversation_id, first.completion_id)
    second = await house.complete(user("Tell bob@example.org"), after=after)
    assert second.conversation_id == first.conversation_id
    assert sent(house) == ["I am [EMAIL_1]", "Hello [EMAIL_1]!", "Tell [EMAIL_2]"]
    assert second.completion.answers[0].message.text == "bob@example.org"


async def test_what_was_not_answered_and_is_said_again_is_not_said_twice(house):
    from send2llm.domain.errors import RequestRejected

    house.provider.script(answer("Hello [EMAIL_1]!"), RequestRejected("no"), answer("Yes."))
    first = await house.complete(user(f"I am {MINE}"))
    more = {"conversation_id": first.conversation_id, "parts_only": True}
    with pytest.raises(RequestRejected):
        await house.complete(user("Tell bob@example.org"), **more)
    await house.complete(user("Tell bob@example.org"), **more)
    assert sent(house) == ["I am [EMAIL_1]", "Hello [EMAIL_1]!", "Tell [EMAIL_2]"]


async def test_a_stream_gives_back_what_is_cut_across_its_pieces(house):
    house.provider.script(answer("So [EMAIL_1] it is, [not] [EMAIL_9]"))
    batches = await house.streamed(user(f"I am {MINE}"))
    deltas = [delta for batch in batches for delta in batch]
    assert "".join(delta.text for delta in deltas) == f"So {MINE} it is, [not] [EMAIL_9]"
    assert deltas[-1].finish_reason == "stop"
    assert house.last(CompletionReceived).answers[0].message.text == "So [EMAIL_1] it is, [not] [EMAIL_9]"


@pytest.mark.parametrize("streaming", [False, True])
async def test_arguments_of_tools_are_given_back_as_json(house, streaming):
    key = '-----BEGIN PRIVATE KEY-----\n"x"\n-----END PRIVATE KEY-----'
    call = ToolCallPart("c1", "send", '{"to": "[EMAIL_1]", "key": "[PRIVATE_KEY_1]"}')
    house.provider.script(answer("", call), answer("Sent."))
    asked = user(f"Send {key} to {MINE}")
    if streaming:
        deltas = [delta for batch in await house.streamed(asked) for delta in batch]
        arguments = "".join(piece.arguments for delta in deltas for piece in delta.tool_calls)
    else:
        reply = await house.complete(asked)
        arguments = reply.completion.answers[0].message.tool_calls[0].arguments
    assert json.loads(arguments) == {"to": MINE, "key": key}

    done = Message("tool", (ToolResultPart("c1", f"{MINE} has it"),))
    told = [asked, Message("assistant", (ToolCallPart("c1", "send", arguments),)), done]
    await house.complete(*told)
    assert len(house.conversation_ids()) == 1
    sent_call, sent_result = house.provider.calls[-1].messages[1:]
    assert sent_call.tool_calls[0].arguments == call.arguments
    assert sent_result.parts[0].content == "[EMAIL_1] has it"


async def test_an_answer_that_is_given_again_for_its_key_is_given_back_too(house):
    house.provider.script(answer("Hello [EMAIL_1]!"))
    for _ in range(2):
        reply = await house.complete(user(f"I am {MINE}"), idempotency_key="k")
        assert reply.completion.answers[0].message.text == f"Hello {MINE}!"
    again = await house.stream(user(f"I am {MINE}"), idempotency_key="k")
    assert again.replayed
    assert again.completion.answers[0].message.text == f"Hello {MINE}!"
    assert len(house.provider.calls) == 1


async def test_what_is_to_be_refused_is_refused_before_anything_is_stored():
    house = House(handlers=[Redact({"refuse": ["email"], "mask": []})])
    with pytest.raises(SensitiveData) as refused:
        await house.complete(user("Hi"), user(f"I am {MINE}"))
    assert refused.value.param == "messages.1.content.0"
    assert MINE not in str(refused.value)
    assert "email" in str(refused.value)
    assert house.store.events == []
    await house.complete(user(f"Call {PHONE}"))
    assert sent(house) == [f"Call {PHONE}"]


async def test_patterns_of_ones_own_count_first():
    own = {"name": "customer", "pattern": r"C-\d+"}
    house = House(handlers=[Redact({"patterns": [own, {"name": "word", "pattern": "classified", "refuse": True}]})])
    house.provider.script(answer("[CUSTOMER_1]"))
    reply = await house.complete(user("C-0012345 is a customer"))
    assert sent(house) == ["[CUSTOMER_1] is a customer"]
    assert reply.completion.answers[0].message.text == "C-0012345"
    with pytest.raises(SensitiveData):
        await house.complete(user("classified"))


async def test_what_the_caller_wrote_as_a_placeholder_stays_what_it_is(house):
    house.provider.script(answer("[EMAIL_1] [EMAIL_2]"))
    reply = await house.complete(user(f"[EMAIL_1] is no address, {MINE} is"))
    assert sent(house) == ["[EMAIL_1] is no address, [EMAIL_2] is"]
    assert reply.completion.answers[0].message.text == f"[EMAIL_1] {MINE}"


async def test_nothing_is_changed_where_nothing_is_found(house):
    reply = await house.complete(user("Hi"))
    assert reply.completion is not None
    assert house.provider.calls[0].messages[0].parts == (TextPart("Hi"),)


async def test_a_search_of_what_assistants_said_is_to_be_had():
    house = House(handlers=[Redact({"answers": True})])
    await house.complete(user("Hi"), assistant(f"You are {MINE}"), user("Yes"))
    assert sent(house) == ["Hi", "You are [EMAIL_1]", "Yes"]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": f"Of {MINE}"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": f"Of {MINE}"}]}},
        {"type": "search_result", "source": "x", "title": MINE, "content": [{"type": "text", "text": "it"}]},
        {"type": "local_shell_call_output", "call_id": "c", "output": f"From: {MINE}"},
    ],
)
async def test_text_that_only_one_format_has_is_searched_too(house, body):
    await house.complete(Message("user", (TextPart("Read."), ForeignPart("anthropic", body))))

    (part,) = [part for part in house.provider.calls[-1].messages[0].parts if isinstance(part, ForeignPart)]
    assert "[EMAIL_1]" in str(part.body)
    assert MINE not in stored(house) + str(part.body)


async def test_bytes_and_names_are_left_as_they_are(house):
    body = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": MINE}, "id": MINE}
    await house.complete(Message("user", (ForeignPart("anthropic", body),)))

    (part,) = house.provider.calls[-1].messages[0].parts
    assert part.body == body


async def test_a_predicted_answer_is_searched_too(house):
    prediction = {"type": "content", "content": f"Dear {MINE}"}
    await house.complete(user("Write."), parameters=Parameters(extras={"prediction": prediction}))

    assert house.provider.calls[-1].parameters.extras["prediction"]["content"] == "Dear [EMAIL_1]"
    assert MINE not in stored(house)
