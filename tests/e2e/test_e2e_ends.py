"""How services end, and what is left: asked to, or killed in the middle of everything."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import psutil
import pytest
from installed import MODEL, Folder, Provider, RunningService

from send2llm.testing.eventually import eventually


def ask(service: RunningService, text: str) -> str:
    with service.sdk() as sdk:
        answer = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
        return answer.choices[0].message.content or ""


def test_calls_in_flight_end_when_it_is_asked_to_stop(folder: Folder, provider: Provider) -> None:
    service = folder.serve()
    with ThreadPoolExecutor() as pool:
        whole = pool.submit(ask, service, "hold this")
        eventually(lambda: provider.held() == 1)
        service.process.send_signal(signal.SIGTERM)
        eventually(service.refuses)
        assert service.process.poll() is None
        provider.release()
        assert whole.result(30) == "You said: hold this"
    assert service.process.wait(30) == 0
    assert not folder.processes()
    service.assert_quiet()
    assert len(folder.events("completion_received")) == 1


def test_calls_that_take_too_long_are_cut_off_and_recorded(folder: Folder, provider: Provider) -> None:
    service = folder.serve(SEND2LLM_SHUTDOWN_SECONDS="1")
    with ThreadPoolExecutor() as pool:
        held = pool.submit(ask, service, "hold this")
        eventually(lambda: provider.held() == 1)
        service.stop()
        with pytest.raises(openai.APIError):
            held.result(30)
    provider.release()
    assert not folder.open_calls()
    (interrupted,) = folder.events("completion_interrupted")
    assert interrupted["reason"] == "shutdown"


def test_a_killed_worker_is_replaced_and_its_call_written_off(folder: Folder, provider: Provider) -> None:
    service = folder.serve()
    (worker,), (projector,) = service.children("worker"), service.children("projector")
    with ThreadPoolExecutor() as pool:
        held = pool.submit(ask, service, "hold this")
        eventually(lambda: provider.held() == 1)
        worker.kill()
        with pytest.raises(openai.APIError):
            held.result(30)
    provider.release()
    projector.kill()

    # Whoever calls meanwhile waits at the door for the next worker.
    assert ask(service, "and now?") == "You said: and now?"
    assert service.children("worker") != [worker]
    (lost,) = eventually(lambda: folder.events("completion_interrupted"), 40)
    assert lost["reason"] == "process_gone"
    assert not folder.open_calls()
    eventually(lambda: service.children("projector") not in ([], [projector]))


def test_nothing_acknowledged_is_lost_when_everything_is_killed(folder: Folder) -> None:
    service = folder.serve("--workers", "2")
    acknowledged: list[str] = []
    over = threading.Event()

    def caller(number: int) -> None:
        with service.sdk() as sdk:
            for turn in range(10_000):
                message = {"role": "user", "content": f"{number} {turn}"}
                try:
                    if number % 2:
                        answer = sdk.chat.completions.create(model=MODEL, messages=[message])
                        text = answer.choices[0].message.content or ""
                    else:
                        stream = sdk.chat.completions.create(model=MODEL, messages=[message], stream=True)
                        text = "".join(one.choices[0].delta.content or "" for one in stream)
                except openai.APIError:
                    return
                acknowledged.append(text)
                if over.is_set():
                    return

    with ThreadPoolExecutor() as pool:
        callers = [pool.submit(caller, number) for number in range(8)]
        try:
            eventually(lambda: len(acknowledged) > 100)
            service.kill()
        finally:
            over.set()
        for one in callers:
            one.result(30)

    again = folder.serve("--workers", "2")
    assert ask(again, "still there?") == "You said: still there?"
    eventually(lambda: not folder.open_calls(), 40)
    stored = [one["answers"][0]["message"]["parts"][0]["text"] for one in folder.events("completion_received")]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    again.stop()
    assert not folder.processes()


def test_children_end_with_a_killed_supervisor(folder: Folder, provider: Provider) -> None:
    service = folder.serve()
    children = service.children("worker") + service.children("projector")
    with ThreadPoolExecutor() as pool:
        held = pool.submit(ask, service, "hold this")
        eventually(lambda: provider.held() == 1)
        service.process.kill()
        service.process.wait(10)
        eventually(lambda: len(children) - len(psutil.wait_procs(children, 0)[1]) == 1)  # the projector first
        provider.release()
        assert held.result(30) == "You said: hold this"
    assert not psutil.wait_procs(children, 20)[1]
    # PostgreSQL has lost its last user without notice; the next one takes it over, and stops it.
    again = folder.serve()
    assert ask(again, "still there?") == "You said: still there?"
    again.stop()
    assert not folder.processes()
    assert len(folder.events("completion_received")) == 2
