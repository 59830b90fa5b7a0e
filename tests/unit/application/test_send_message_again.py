"""The same request again, with the same idempotency key."""

import asyncio
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import pytest
from house import user

from send2llm.application import intents
from send2llm.application.send_command import SendMessage, request_digest
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import (
    AuthenticationFailed,
    CompletionInProgress,
    IdempotencyKeyReused,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.testing.providers import Held, answer


async def test_a_repeated_idempotency_key_gets_the_recorded_answer(house):
    first = await house.complete(user("Hi"), idempotency_key="k")

    again = await house.complete(user("Hi"), idempotency_key="k")

    assert again.replayed
    assert again.completion_id == first.completion_id
    assert again.completion.answers == first.completion.answers
    assert len(house.provider.calls) == 1
    assert house.observer.calls[-1].outcome == "replayed"


@pytest.mark.parametrize("digest_key", ["", "k"])
async def test_a_claim_of_an_earlier_version_is_known_again(house, monkeypatch, digest_key):
    """It holds the digest itself, in the beginning without a key."""
    with monkeypatch.context() as earlier:
        digest = request_digest(house.command(user("Hi"), idempotency_key="k"), digest_key)
        earlier.setattr(intents, "_claimed", partial(_claimed_with, digest))
        earlier.setattr(intents, "request_digest", lambda *_: "")
        first = await house.complete(user("Hi"), idempotency_key="k")

    again = await house.complete(user("Hi"), idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        await house.complete(user("Something else"), idempotency_key="k")

    assert (again.replayed, again.completion_id) == (True, first.completion_id)


def _claimed_with(digest, conversation_id, completion_id):
    return IdempotencyKeyClaimed(conversation_id=conversation_id, completion_id=completion_id, request_digest=digest)


async def test_an_idempotency_key_belongs_to_one_request(house):
    await house.complete(user("Hi"), idempotency_key="k")

    with pytest.raises(IdempotencyKeyReused):
        await house.complete(user("Something else"), idempotency_key="k")


async def test_an_idempotency_key_may_try_again_after_a_failure(house):
    house.provider.script(AuthenticationFailed("no"), answer("Hello!"))
    with pytest.raises(AuthenticationFailed):
        await house.complete(user("Hi"), idempotency_key="k")

    reply = await house.complete(user("Hi"), idempotency_key="k")

    assert not reply.replayed
    assert len(house.conversation_ids()) == 1
    assert [message.text for message in house.provider.calls[-1].messages] == ["Hi"]


async def test_the_same_key_at_the_same_moment_asks_once(house):
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!"), gate))
    call = asyncio.create_task(house.complete(user("Hi"), idempotency_key="k"))
    await house.provider.called()

    with pytest.raises(CompletionInProgress):
        await house.complete(user("Hi"), idempotency_key="k")

    gate.set()
    await call
    assert len(house.provider.calls) == 1


def test_the_digest_of_a_request_survives_new_kinds_of_parameters():
    parameters = Parameters(temperature=0.5, stop=("a",), extras=MappingProxyType({"user": "u", "b": {"c": [1]}}))
    command = SendMessage(model="m", messages=[user("Hi")], parameters=parameters)

    assert request_digest(command) == "0afe660d753081007fe37f67ee91727d"
    assert request_digest(replace(command, parameters=Parameters())) != "0afe660d753081007fe37f67ee91727d"
    assert request_digest(command, "a key") == "e4294a42653b7f75dea1fe3f8a9761ae"
    assert request_digest(command, "another key") != "e4294a42653b7f75dea1fe3f8a9761ae"
