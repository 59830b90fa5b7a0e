"""Transcripts that are too long for the model, before the real service."""

import pytest
import pytest_asyncio

from gateway import MODEL, Gateway, serving, settings_for
from send2llm.testing.openai_server import FakeOpenAIServer, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = {
    "windows": {f"fake/{MODEL}": 1000},
    "mode": "summarise",
    "summary_model": "fake/summariser",
    "answer_tokens": 100,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_gateway(clean_environment, all_logs, module_database, provider_url):
    options = {"fit_context": OPTIONS}
    async with serving(
        settings_for(module_database, provider_url, handlers=["redact", "fit_context"], handler_options=options)
    ) as gateway:
        yield gateway


async def test_a_long_conversation_is_summarised_and_stays_whole(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(Reply.of("They counted, said [EMAIL_1]."), Reply.of("Fine, [EMAIL_1]."))
    told = [{"role": "user", "content": f"ann@example.com said {number} {'x' * 300}"} for number in range(10)]
    response = await gateway.ask(messages=told)
    assert response.json()["choices"][0]["message"]["content"] == "Fine, ann@example.com."

    summarised, asked = (request.json for request in provider.requests)
    assert summarised["model"] == "summariser"
    assert "user: [EMAIL_1] said 0 " in summarised["messages"][1]["content"]
    assert "They counted, said [EMAIL_1]." in asked["messages"][0]["content"]
    assert len(asked["messages"]) < 10

    conversation = response.headers["x-send2llm-conversation-id"]
    shortened = await gateway.event("conversation.context_shortened")
    assert shortened.stream == f"conversation-{conversation}"
    assert shortened.data["summary"] == "They counted, said [EMAIL_1]."
    assert shortened.data["left_out"][0]["first"] == 1
    shown = (await gateway.api.get(f"/api/conversations/{conversation}")).json()
    assert len(shown["messages"]) == 11
    happened = (await gateway.api.get(f"/api/conversations/{conversation}/events")).json()["data"]
    assert "conversation.context_shortened" in [one["topic"] for one in happened]
    summary = (await gateway.api.get(f"/api/conversations/{shortened.data['summary_conversation_id']}")).json()
    assert summary["labels"] == {"summary_of": conversation}
