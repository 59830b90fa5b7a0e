"""What operators look at: health, metrics, the description of the API, request ids, logs."""

import io
import json
from uuid import UUID, uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from gateway import HELLO, MODEL, PROVIDER_KEY, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import ProviderSettings
from send2llm.testing.openai_server import ErrorReply, FakeOpenAIServer, StreamReply, chunk, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET_WORDS = "the launch code is xylophone"


async def metrics(gateway: Gateway) -> dict[str, float]:
    """Samples by name, summed over their labels."""
    response = await gateway.api.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    totals: dict[str, float] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            totals[sample.name] = totals.get(sample.name, 0) + sample.value
    return totals


async def test_health(gateway: Gateway) -> None:
    assert (await gateway.api.get("/healthz")).json() == {"status": "ok"}
    ready = await gateway.api.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"providers": "ok", "event_store": "ok", "process": "ok"}


async def test_metrics_count_calls(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    before = await metrics(gateway)
    await gateway.ask()
    provider.script(ErrorReply(400))
    await gateway.ask()
    after = await metrics(gateway)

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown("send2llm_calls_total") == 2
    assert grown("gen_ai_client_operation_duration_seconds_count") == 2
    assert grown("send2llm_http_requests_total") == 3  # the metrics' own request too
    assert grown("send2llm_overhead_seconds_count") == 2
    assert after["send2llm_calls_in_flight"] == 0


async def test_metrics_show_the_projections(gateway: Gateway) -> None:
    with gateway.projecting():
        await gateway.ask()
        await gateway.history_is_complete()
        found = await metrics(gateway)
    assert found["send2llm_projection_lag_events"] == 0
    assert found["send2llm_projection_position"] > 0


async def test_requests_of_unknown_paths_share_one_label(gateway: Gateway) -> None:
    async def labels() -> set[str]:
        page = (await gateway.api.get("/metrics")).text
        return {line.split()[0] for line in page.splitlines() if line.startswith("send2llm_http_requests_total")}

    before = await labels()
    for _ in range(3):
        await gateway.api.get(f"/{uuid4()}")
        await gateway.api.get(f"/api/conversations/{uuid4()}")
    assert len(await labels() - before) <= 3  # the metrics' own path is the third


async def test_the_description_of_the_api(gateway: Gateway) -> None:
    described = (await gateway.api.get("/openapi.json")).json()
    assert {
        "/v1/chat/completions",
        "/v1/models",
        "/api/conversations",
        "/api/conversations/{conversation_id}",
        "/api/conversations/{conversation_id}/messages",
        "/api/conversations/{conversation_id}/events",
        "/api/conversations/{conversation_id}/feedback",
        "/api/conversations/{conversation_id}/close",
        "/api/events",
        "/api/projections",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(described["paths"])
    assert "/chat/completions" not in described["paths"]
    page = await gateway.api.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/costs?foo=1", "it takes actor, at, begin, by"),
        ("/api/costs?tenat=acme", "did you mean tenant?"),
        ("/api/budgets?retierd=true", "did you mean retired?"),
        ("/api/events?form=1", "There is no parameter 'form'"),
        ("/api/projections?x=", "it takes none"),
        ("/api/conversations?limits=1", "did you mean limit?"),
        ("/api/audit/money?x=1", "it takes at"),
    ],
)
async def test_a_parameter_that_nobody_heeds_is_refused(gateway: Gateway, path: str, says: str) -> None:
    response = await gateway.api.get(path)
    assert response.status_code == 400
    assert says in response.json()["detail"]
    assert response.json()["param"] == path.partition("?")[2].partition("=")[0]


async def test_the_description_has_the_errors_that_are_sent(gateway: Gateway) -> None:
    described = (await gateway.api.get("/openapi.json")).json()
    assert "HTTPValidationError" not in str(described)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/api"):
                assert {"400", "401", "503"} <= set(operation["responses"]), (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400 and path.startswith("/api"):
                    assert list(response["content"]) == ["application/problem+json"]
    assert "404" in described["paths"]["/api/budgets/{budget_id}"]["patch"]["responses"]
    assert "409" in described["paths"]["/api/budgets"]["post"]["responses"]
    assert "429" in described["paths"]["/api/conversations/{conversation_id}/messages"]["post"]["responses"]


async def test_every_answer_names_its_request(gateway: Gateway) -> None:
    described = (await gateway.api.get("/openapi.json")).json()
    seen = set()
    for template, methods in described["paths"].items():
        path = template.replace("{conversation_id}", str(uuid4())).replace("{name}", "x")
        for method in methods:
            for body in (b"", b"{}", b"nonsense"):
                response = await gateway.api.request(
                    method.upper(), path, content=body, headers={"content-type": "application/json"}
                )
                assert UUID(response.headers["x-request-id"])
                assert response.headers["x-send2llm-request-id"] == response.headers["x-request-id"]
                assert response.status_code < 500, (method, path, body)
                seen.add(response.headers["x-request-id"])
    assert len(seen) > 30
    for path in ("/docs", "/openapi.json", "/nothing", "/v1/nothing", "/v1/models/"):
        assert UUID((await gateway.api.get(path)).headers["x-request-id"])


async def test_models(gateway: Gateway) -> None:
    listed = [one async for one in gateway.sdk.models.list()]
    assert [(one.id, one.owned_by, one.object) for one in listed] == [(f"fake/{MODEL}", "fake", "model")]
    for name in (MODEL, f"fake/{MODEL}"):
        assert (await gateway.sdk.models.retrieve(name)).id == f"fake/{MODEL}"


async def test_models_while_a_provider_is_down(
    module_database: ConnectionInfo, provider_url: str, nowhere: str
) -> None:
    providers = {
        "down": ProviderSettings(base_url=nowhere, models=("known",)),
        "fake": ProviderSettings(base_url=provider_url),
    }
    settings = settings_for(module_database, provider_url, providers=providers, routes={"best": ("down/a",)})
    async with serving(settings) as gateway:
        listed = [(one.id, one.owned_by) async for one in gateway.sdk.models.list()]
    assert listed == [("best", "send2llm"), ("down/known", "down"), (f"fake/{MODEL}", "fake")]


async def test_no_text_and_no_key_in_any_log(
    module_database: ConnectionInfo, provider_url: str, provider: FakeOpenAIServer, log: io.BytesIO
) -> None:
    key = "caller-key-0123456789"
    said = [{"role": "user", "content": SECRET_WORDS}]
    async with serving(settings_for(module_database, provider_url, api_key=SecretStr(key))) as gateway:
        provider.script(
            StreamReply.of(SECRET_WORDS),
            ErrorReply(400, message=f"bad prompt: {SECRET_WORDS} for {PROVIDER_KEY}"),
            StreamReply([event(chunk(role="assistant", content=SECRET_WORDS))], cut=True),
        )
        for _ in range(3):
            await gateway.ask(messages=said, stream=True)
        await gateway.ask(messages=said, temperature=SECRET_WORDS)
        await gateway.ask(messages=[{"role": SECRET_WORDS, "content": SECRET_WORDS}])
        await gateway.api.post("/v1/chat/completions", content=SECRET_WORDS.encode())
        conversation = await gateway.start_conversation(labels={"note": SECRET_WORDS})
        path = f"/api/conversations/{conversation}"
        await gateway.api.post(f"{path}/messages", json={"model": MODEL, "content": SECRET_WORDS})
        await gateway.api.post(f"{path}/messages", json={"model": MODEL, "content": {"x": SECRET_WORDS}})
        await gateway.api.post(f"{path}/feedback", json={"score": 1, "comment": SECRET_WORDS})
        await gateway.api.post(f"{path}/close", json={"reason": SECRET_WORDS})
        with gateway.projecting():
            await gateway.history_is_complete()
        await gateway.api.get(path, headers={"authorization": f"Bearer {key}-but-longer"})

    written = log.getvalue().decode()
    lines = [json.loads(line) for line in written.splitlines()]
    assert "call_ended" in {line["event"] for line in lines}
    assert "unauthorized" in {line["event"] for line in lines}
    for secret in (SECRET_WORDS, "xylophone", key, PROVIDER_KEY):
        assert secret not in written


async def test_the_lines_of_a_call_carry_its_request_id(gateway: Gateway, log: io.BytesIO) -> None:
    response = await gateway.ask(messages=HELLO)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (ended,) = [line for line in lines if line["event"] == "call_ended"]
    assert ended["correlation_id"] == response.headers["x-request-id"]
    assert ended["conversation_id"] == response.headers["x-send2llm-conversation-id"]
