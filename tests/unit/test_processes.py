"""Child processes: started, watched, restarted, ended, and never left behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator

import psutil
import pytest

from send2llm.infrastructure.processes import ChildProcess, ChildStartError, ChildState, Supervision

QUICK = Supervision(
    start_timeout=20,
    start_poll=0.005,
    check_interval=0.005,
    first_delay=0.001,
    longest_delay=0.004,
    stop_grace=5,
)

OBEDIENT = "import signal; signal.pause()"

STUBBORN = textwrap.dedent("""
    import signal, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[1], "w").close()
    while True:
        signal.pause()
""")

DEVOTED = textwrap.dedent("""
    import signal, sys
    from send2llm.infrastructure.processes import end_with_parent

    end_with_parent(grace=float(sys.argv[1]))
    if sys.argv[2] == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        signal.pause()
""")

PARENT = textwrap.dedent("""
    import asyncio, sys
    from send2llm.infrastructure.processes import ChildProcess

    async def main():
        async def healthy():
            return True
        child = ChildProcess("child", [sys.executable, "-c", *sys.argv[1:]], healthy=healthy)
        await child.start()
        print(child.pid, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
""")


class Watched:
    """A child process whose health the test decides, and whose states it can wait for."""

    def __init__(self, program: str, *arguments: str, supervision: Supervision = QUICK, **options) -> None:
        self.is_healthy = True
        self.states: asyncio.Queue[ChildState] = asyncio.Queue()
        self.child = ChildProcess(
            "test child",
            [sys.executable, "-c", program, *arguments],
            healthy=self._check,
            supervision=supervision,
            on_change=self.states.put_nowait,
            **options,
        )

    async def _check(self) -> bool:
        return self.is_healthy

    async def reaches(self, state: ChildState) -> None:
        async with asyncio.timeout(30):
            while await self.states.get() is not state:
                pass

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ChildProcess]:
        async with self.child:
            await self.reaches(ChildState.HEALTHY)
            yield self.child


async def test_runs_until_it_is_stopped():
    watched = Watched(OBEDIENT)
    async with watched.running() as child:
        process = psutil.Process(child.pid)
        assert child.state is ChildState.HEALTHY

    assert not process.is_running()
    assert (child.state, child.pid, child.restarts) == (ChildState.STOPPED, None, 0)


async def test_a_child_that_died_is_started_again():
    watched = Watched(OBEDIENT)
    async with watched.running() as child:
        first = child.pid
        os.kill(first, signal.SIGKILL)
        await watched.reaches(ChildState.FAILED)
        await watched.reaches(ChildState.HEALTHY)

        assert child.pid not in {first, None}
        assert child.restarts == 1


async def test_an_unhealthy_child_is_replaced():
    watched = Watched(OBEDIENT)
    async with watched.running() as child:
        first = psutil.Process(child.pid)
        watched.is_healthy = False
        await watched.reaches(ChildState.STARTING)
        watched.is_healthy = True
        await watched.reaches(ChildState.HEALTHY)

        assert not first.is_running()
        assert child.pid != first.pid


async def test_a_single_failed_check_is_forgiven():
    answers = iter([True, False, OSError("refused"), True])
    asked_enough = asyncio.Event()

    async def healthy() -> bool:
        answer = next(answers, None)
        if answer is None:
            asked_enough.set()
            return True
        if isinstance(answer, OSError):
            raise answer
        return answer

    async with ChildProcess("c", [sys.executable, "-c", OBEDIENT], healthy=healthy, supervision=QUICK) as child:
        async with asyncio.timeout(30):
            await asked_enough.wait()
        assert (child.state, child.restarts) == (ChildState.HEALTHY, 0)


async def test_a_check_that_never_answers_has_failed():
    hang = asyncio.Event()
    states: asyncio.Queue[ChildState] = asyncio.Queue()
    checks = 0

    async def healthy() -> bool:
        nonlocal checks
        checks += 1
        if 1 < checks < 5:
            await hang.wait()
        return True

    supervision = Supervision(check_interval=0.001, check_timeout=0.01, first_delay=0.001, start_poll=0.001)
    command = [sys.executable, "-c", OBEDIENT]
    async with (
        asyncio.timeout(30),
        ChildProcess("c", command, healthy=healthy, supervision=supervision, on_change=states.put_nowait),
    ):
        seen = [await states.get() for _ in range(5)]

    healthy_again = [ChildState.STARTING, ChildState.HEALTHY]
    assert seen == [*healthy_again, ChildState.FAILED, *healthy_again]


async def test_restarts_wait_longer_and_longer_up_to_a_limit():
    delays: list[float] = []
    enough = asyncio.Event()

    async def note(delay: float) -> None:
        delays.append(delay)
        if len(delays) == 5:
            enough.set()
            await asyncio.Event().wait()

    supervision = Supervision(start_poll=0.001, check_interval=0.001, first_delay=1, longest_delay=4)
    watched = Watched("pass", supervision=supervision, sleep=note)
    async with watched.child, asyncio.timeout(60):
        await enough.wait()

    assert delays == [1, 2, 4, 4, 4]


async def test_a_child_that_was_steady_is_restarted_soon_again():
    delays: list[float] = []
    enough = asyncio.Event()

    async def note(delay: float) -> None:
        delays.append(delay)
        if len(delays) == 3:
            enough.set()
            await asyncio.Event().wait()

    supervision = Supervision(check_interval=0.001, first_delay=1, steady_after=0)
    watched = Watched("pass", supervision=supervision, sleep=note)
    async with watched.child, asyncio.timeout(60):
        await enough.wait()

    assert delays == [1, 1, 1]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(3)", "it ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", r"it was ended by signal 9 \(Killed\)"),
    ],
)
async def test_a_first_start_that_fails_says_why(program, reason):
    watched = Watched(program)
    watched.is_healthy = False

    with pytest.raises(ChildStartError, match=f"test child did not start: {reason}"):
        await watched.child.start()

    assert watched.child.state is ChildState.STOPPED


async def test_a_program_that_does_not_exist_says_so():
    child = ChildProcess("thing", ["/nowhere/thing"], healthy=lambda: asyncio.sleep(0, True))

    with pytest.raises(ChildStartError, match="thing did not start: /nowhere/thing: No such file"):
        await child.start()


async def test_a_child_that_is_never_healthy_fails_and_is_ended():
    watched = Watched(OBEDIENT, supervision=Supervision(start_timeout=0.05, start_poll=0.01))
    watched.is_healthy = False

    with pytest.raises(ChildStartError, match=r"not healthy within 0\.05 seconds"):
        await watched.child.start()

    assert watched.child.pid is None


async def test_a_child_that_ignores_the_polite_signal_is_killed(tmp_path):
    ignoring = tmp_path / "ignoring"
    child = ChildProcess(
        "stubborn",
        [sys.executable, "-c", STUBBORN, str(ignoring)],
        healthy=lambda: asyncio.sleep(0, ignoring.exists()),
        supervision=Supervision(start_poll=0.01, stop_grace=0.05),
    )
    async with child:
        process = psutil.Process(child.pid)

    assert not process.is_running()


async def test_stopping_twice_and_before_starting_is_harmless():
    child = Watched(OBEDIENT).child
    await child.stop()
    async with child:
        pass
    await child.stop()

    assert child.state is ChildState.STOPPED


async def test_what_a_child_prints_can_go_to_a_file(tmp_path):
    output = tmp_path / "child.log"
    child = ChildProcess(
        "printer",
        [sys.executable, "-c", "print('hello', flush=True); " + OBEDIENT],
        healthy=lambda: asyncio.sleep(0, output.exists() and "hello" in output.read_text()),
        supervision=QUICK,
        log_file=output,
    )
    async with child:
        assert output.read_text() == "hello\n"


@pytest.mark.parametrize(("grace", "hearing"), [("60", "hears"), ("0.1", "deaf")])
def test_a_child_never_outlives_a_killed_parent(grace, hearing):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, DEVOTED, grace, hearing], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        child = psutil.Process(int((lines - {"ready"}).pop()))
        assert "ready" in lines
        parent.kill()

        child.wait(30)


def test_end_with_parent_does_nothing_in_a_program_that_runs_alone():
    program = "import threading; from send2llm.infrastructure.processes import end_with_parent as e; e(); "
    outcome = subprocess.run(
        [sys.executable, "-c", program + "print(threading.active_count())"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert outcome.stdout == "1\n"


def test_a_grandchild_does_not_take_the_lifeline_for_its_own():
    read_end, write_end = os.pipe()
    program = (
        "import os; from send2llm.infrastructure.processes import end_with_parent as e; e(); "
        f"print('_SEND2LLM_LIFELINE' in os.environ, os.get_inheritable({read_end}))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "_SEND2LLM_LIFELINE": str(read_end)},
        pass_fds=[read_end],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    os.close(read_end)
    os.close(write_end)

    assert outcome.stdout == "False False\n"
