"""Handlers in their order, before and after the model."""

from dataclasses import replace
from decimal import Decimal

import pytest
from house import House, assistant, user

from send2llm.application.answer_rewriter import AnswerRewriter
from send2llm.domain.completion import Answer, Completion, Delta, EmbeddingParameters, Parameters, ToolCallDelta
from send2llm.domain.conversation_events import CompletionReceived
from send2llm.domain.errors import InvalidRequest, RequestRejected
from send2llm.domain.message import ImagePart, Message, ReasoningPart, TextPart
from send2llm.handlers import Handler
from send2llm.testing.providers import answer


class Marking(Handler):
    """Adds its mark to what is asked, and what is answered."""

    def __init__(self, mark):
        self.mark = mark

    async def on_request(self, command, exchange):
        exchange.notes[self] = len(exchange.notes)
        return replace(command, messages=[*command.messages[:-1], user(command.messages[-1].text + self.mark)])

    async def on_transcript(self, outgoing, exchange):
        return replace(outgoing, messages=[*outgoing.messages, user(f"sent {self.mark}")])

    def on_answer(self, exchange):
        return lambda kind: Appending(self.mark)


class Appending:
    def __init__(self, mark):
        self.mark = mark

    def feed(self, piece):
        return piece.replace(".", self.mark)

    def end(self):
        return f"|{self.mark}"


class Refusing(Handler):
    async def on_request(self, command, exchange):
        raise InvalidRequest("No.", param="messages")


async def test_two_handlers_run_in_order_and_on_answers_the_other_way_round():
    house = House(handlers=[Marking("a"), Marking("b")])
    house.provider.script(answer("Hello."))
    reply = await house.complete(user("Hi "))
    assert [message.text for message in house.provider.calls[0].messages] == ["Hi ab", "sent a", "sent b"]
    # b is nearer to the model: it sees the answer first.
    assert reply.completion.answers[0].message.text == "Hellob|b|a"
    assert house.last(CompletionReceived).answers[0].message.text == "Hello."
    conversation = await house.conversations.load(reply.conversation_id)
    assert [message.text for message in conversation.messages] == ["Hi ab", "Hello."]


async def test_a_stream_passes_them_as_a_whole_answer_does():
    house = House(handlers=[Marking("a"), Marking("b")])
    house.provider.script(answer("Hello. You."))
    stream = await house.stream(user("Hi "))
    deltas = [delta async for batch in stream.batches() for delta in batch]
    assert "".join(delta.text for delta in deltas) == "Hellob Youb|b|a"
    assert [delta.finish_reason for delta in deltas][-1] == "stop"
    assert stream.reply.completion.answers[0].message.text == "Hellob Youb|b|a"
    assert house.last(CompletionReceived).answers[0].message.text == "Hello. You."


async def test_a_refusal_leaves_nothing_behind_and_later_handlers_see_nothing():
    last = Marking("b")
    house = House(handlers=[Refusing(), last])
    with pytest.raises(InvalidRequest):
        await house.complete()
    with pytest.raises(InvalidRequest):
        await house.stream()
    assert house.store.events == []
    assert house.provider.calls == []


async def test_without_handlers_nothing_of_them_is_run(house, monkeypatch):
    monkeypatch.setattr("send2llm.application.handlers.Exchange.__init__", None)
    await house.complete()
    await house.streamed()


async def test_a_handler_that_takes_part_in_nothing_is_not_called():
    house = House(handlers=[Handler()])
    await house.complete()
    assert house.sender._handlers is None


async def test_what_is_sent_is_what_budgets_hold_money_for():
    class Halving(Handler):
        async def on_transcript(self, outgoing, exchange):
            return replace(outgoing, messages=outgoing.messages[-1:])

    long = [user("x" * 10_000), assistant("Yes."), user("Hi")]
    held = {}
    for name, handlers in {"whole": (), "less": [Halving()]}.items():
        house = House(handlers=handlers)
        await house.budget("100")
        await house.complete(*long)
        request = next(e.event for e in house.conversations.events if e.topic.endswith("completion_requested"))
        held[name] = request.hold_usd
    assert held["whole"] - held["less"] >= Decimal("0.03")  # 10,000 bytes at 3 dollars a million tokens


def deltas_of(rewriter, *batches):
    return [delta for batch in batches for delta in rewriter.pieces(list(batch))] + list(rewriter.end())


class Holding:
    """Gives everything at the end."""

    def __init__(self):
        self.held = ""

    def feed(self, piece):
        self.held += piece
        return ""

    def end(self):
        return self.held.upper()


def test_what_is_held_back_comes_before_the_end_of_its_answer():
    rewriter = AnswerRewriter([lambda kind: Holding()])
    given = deltas_of(
        rewriter,
        [Delta(text="a", raw=b"1"), Delta(text="b", index=1, raw=b"")],
        [Delta(text="c", raw=b"2"), Delta(finish_reason="stop", raw=b"3")],
        [Delta(finish_reason="stop", index=1, raw=b"4")],
    )
    assert [(delta.text, delta.index, delta.finish_reason) for delta in given] == [
        ("", 0, None),
        ("", 1, None),
        ("", 0, None),
        ("AC", 0, None),
        ("", 0, "stop"),
        ("B", 1, None),
        ("", 1, "stop"),
    ]
    assert {delta.raw for delta in given} == {None}


def test_a_thought_ends_where_the_text_begins_and_a_part_where_the_next_does():
    rewriter = AnswerRewriter([lambda kind: Holding()])
    given = deltas_of(
        rewriter,
        [Delta(reasoning="a", part=0), Delta(reasoning_signature="s", part=0), Delta(text="b", part=1)],
        [Delta(text="c", part=2), Delta(parts=(ImagePart("https://x/y.png"),), part=3), Delta(text="d", part=4)],
        [Delta(finish_reason="stop")],
    )
    said = [(delta.reasoning or delta.text, delta.part) for delta in given if delta.reasoning or delta.text]
    assert said == [("A", 0), ("B", 1), ("C", 2), ("D", 4)]
    assert [delta.reasoning for delta in given[:4]] == ["", "", "A", ""]


def test_what_comes_all_at_once_is_told_apart():
    whole = Delta("a", "r", (ToolCallDelta(0, "1", "f", "x"), ToolCallDelta(1, "2", "g", "y")), "stop", reasoning="t")
    given = deltas_of(AnswerRewriter([lambda kind: Holding()]), [replace(whole, response_id="id", role="assistant")])
    said = "".join(
        delta.reasoning + delta.text + delta.refusal + "".join(piece.arguments for piece in delta.tool_calls)
        for delta in given
    )
    assert said == "TARXY"
    assert (given[0].response_id, given[0].role, given[-1].finish_reason) == ("id", "assistant", "stop")


def test_tool_calls_that_share_an_index_are_told_apart_by_their_ids():
    rewriter = AnswerRewriter([lambda kind: Holding()])
    given = deltas_of(
        rewriter,
        [Delta(tool_calls=(ToolCallDelta(0, "1", "f", "a"),)), Delta(tool_calls=(ToolCallDelta(0, arguments="b"),))],
        [Delta(tool_calls=(ToolCallDelta(0, "2", "g", "c"),)), Delta(finish_reason="tool_calls")],
    )
    pieces = [(piece.id, piece.arguments) for delta in given for piece in delta.tool_calls]
    assert pieces == [("1", ""), ("", ""), ("", "AB"), ("2", ""), ("", "C")]


def test_a_stream_without_an_announced_end_loses_nothing():
    assert [delta.text for delta in deltas_of(AnswerRewriter([lambda kind: Holding()]), [Delta(text="a")])] == ["", "A"]


def test_a_whole_answer_keeps_its_bytes_only_if_nothing_is_changed():
    said = Completion((Answer(Message("assistant", (ReasoningPart("a."), TextPart("b"))), "stop"),), body=b"{}")
    dots = AnswerRewriter([lambda kind: Dotless()])
    changed = dots.whole(said)
    assert changed.body == b""
    assert changed.answers[0].message.parts == (ReasoningPart("a"), TextPart("b"))
    assert dots.whole(replace(changed, body=b"{}")).body == b"{}"


async def test_embeddings_are_made_of_every_text():
    house = House(handlers=[Marking("a")])
    request = {"parameters": Parameters(embedding=EmbeddingParameters())}
    with pytest.raises(RequestRejected):  # the provider has none; what matters is what it was asked
        await house.complete(user("one"), user("two"), **request)
    conversation = await house.conversations.load(next(iter(house.conversation_ids())))
    assert [message.text for message in conversation.messages] == ["one", "twoa"]


class Dotless:
    def feed(self, piece):
        return piece.replace(".", "")

    def end(self):
        return ""
