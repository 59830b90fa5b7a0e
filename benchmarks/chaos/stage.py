"""What is killed, over and over: writers, projectors, and the database server."""

import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.postgres.server_processes import recorded_postmaster
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.postgres import TestDatabaseServer

HERE = Path(__file__).parent
WRITERS, PROJECTORS = 2, 2

_TOLD = re.compile(r"^([0-9a-f-]{36}) ([0-9]+)$", re.MULTILINE)


class Stage:
    """The processes, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = TestDatabaseServer(folder, durable=True)
        self.server.start()
        self.database: ConnectionInfo = self.server.create_database()
        migrate(self.database)
        self._key_file = folder / "sealing.key"
        self.key = SealingKey.of_file(self._key_file)
        self._master_key_file = folder / "encryption.key"
        TextKeys.of_file(self._master_key_file)
        self._acknowledged = folder / "acknowledged"
        self._errors = (folder / "errors").open("wb")
        self._writers: list[subprocess.Popen[bytes]] = []
        self._projectors: list[subprocess.Popen[bytes]] = []
        self.kills = {"writer": 0, "projector": 0, "server": 0}

    def go_on(self) -> None:
        """Start whatever is not there."""
        self._writers = [one for one in self._writers if one.poll() is None]
        while len(self._writers) < WRITERS:
            with self._acknowledged.open("ab") as told:
                self._writers.append(
                    self._start("writing.py", self.database.dsn, str(self._master_key_file), stdout=told)
                )
        self.project()

    def project(self) -> None:
        """Start the projectors that are not there."""
        self._projectors = [one for one in self._projectors if one.poll() is None]
        while len(self._projectors) < PROJECTORS:
            files = (str(self._key_file), str(self._master_key_file))
            self._projectors.append(self._start("projecting.py", self.database.dsn, *files))

    def kill_one(self, chance: random.Random) -> None:
        """Kill something, without a word."""
        what = chance.choices(["writer", "projector", "server"], [3, 5, 2])[0]
        self.kills[what] += 1
        if what == "server":
            postmaster = recorded_postmaster(self._folder / "postgres")
            if postmaster is not None:
                os.kill(postmaster, signal.SIGKILL)
            self.server.stop()
            self.server.start()
        else:
            _kill(chance.choice(self._writers if what == "writer" else self._projectors))

    def stop_writing(self) -> None:
        """From here on the log does not grow."""
        for writer in self._writers:
            _kill(writer)
        self._writers.clear()

    def acknowledged(self) -> list[tuple[str, int]]:
        """Conversations that a writer was told are stored, and how many events of each."""
        told = _TOLD.findall(self._acknowledged.read_text("utf-8"))  # there are lines of the log, too
        return [(name, int(count)) for name, count in told]

    def end(self) -> str:
        """End everything; gives the last that was said to standard error."""
        for process in (*self._writers, *self._projectors):
            _kill(process)
        self.server.stop()
        self._errors.close()
        return (self._folder / "errors").read_text("utf-8", "replace")[-4000:]

    def _start(self, script: str, *arguments: str, stdout: object = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            stdout=stdout,  # type: ignore[arg-type] # a file
            stderr=self._errors,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
