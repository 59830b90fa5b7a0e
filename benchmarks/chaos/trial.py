"""Chaos: no event is lost, passed by or counted twice, though everything is killed over and over.

``python benchmarks/chaos/trial.py [--seconds 300] [--seed 1]``: writers, projectors and PostgreSQL are killed (kill -9)
at random, while builds of projections are begun, swapped in, rolled back, paused and dropped, and conversations erased.
Afterwards every live table equals a rebuild from zero and says what can be counted in the log, the sealed log verifies,
every acknowledged event is there, every event was folded once, and nothing is left of erased texts. Exits with 1
otherwise.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from counting import miscounts
from meddling import NAMES, Meddler
from stage import Stage

from send2llm.infrastructure.log_seals.queries import PostgresSeals
from send2llm.testing.eventually import eventually

_HEAD = "SELECT coalesce(max(notification_id), 0) FROM stored_events"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--seed", type=int, default=None)
    given = options.parse_args()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="send2llm-chaos-"))
    folder.chmod(0o755)
    stage = Stage(folder)
    faults, errors = ["it did not come to an end"], ""
    try:
        meddler = Meddler(stage.database, random.Random(seed))
        rage(stage, meddler, random.Random(seed + 1), given.seconds)
        stage.stop_writing()
        faults = verdict(stage, meddler, given.seconds)
        tell(stage, meddler, seed)
    finally:
        errors = stage.end()
        shutil.rmtree(folder)
    if faults:
        print(errors)
        print(*(f"FAULT: {fault}" for fault in faults), sep="\n")
        sys.exit(1)
    print("no fault")


def rage(stage: Stage, meddler: Meddler, chance: random.Random, seconds: float) -> None:
    """Kill and meddle for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stage.go_on()
        pause = time.monotonic() + chance.uniform(0.2, 3.5)
        while time.monotonic() < pause:
            meddler.meddle()
            time.sleep(chance.uniform(0.0, 0.1))
        stage.kill_one(chance)


def verdict(stage: Stage, meddler: Meddler, seconds: float) -> list[str]:
    """What is wrong, in words."""
    patience = 60 + seconds  # a longer log is longer to fold
    stage.project()
    for name in NAMES:
        eventually(lambda name=name: meddler.bring_to_rest(name), patience)  # type: ignore[misc] # mypy knows no defaults
    behind = f"SELECT count(*) FROM projection_checkpoints WHERE position < ({_HEAD})"
    eventually(lambda: not meddler.value(behind), patience)
    for name in NAMES:
        eventually(lambda name=name: meddler.verify(name), patience)  # type: ignore[misc] # as above
    found = {name: eventually(lambda name=name: meddler.verdict(name), patience) for name in NAMES}  # type: ignore[misc] # as above
    faults = [*meddler.wrong, *(f"{name} is {what}" for name, what in found.items() if what != "verified")]
    log = asyncio.run(PostgresSeals(stage.database).verify(trusted=[stage.key.public]))
    faults += [f"the log: {log.fault}"] if log.fault else []
    return [*faults, *miscounts(meddler.value), *lost(stage, meddler)]


def lost(stage: Stage, meddler: Meddler) -> list[str]:
    """Conversations of which not all is stored that was acknowledged."""
    acknowledged = stage.acknowledged()
    told = ", ".join(f"('conversation-{name}', {count})" for name, count in acknowledged)
    if not told:
        return ["nothing was stored at all"]
    missing = meddler.value(
        f"SELECT count(*) FROM (VALUES {told}) AS told (stream, events) WHERE events >"
        " (SELECT count(*) FROM stored_events WHERE originator_id = stream)"
    )
    return [f"{missing} conversations are not whole that were acknowledged"] if missing else []


def tell(stage: Stage, meddler: Meddler, seed: int) -> None:
    figures = {
        "seed": seed,
        "events": meddler.value("SELECT count(*) FROM stored_events"),
        "seals": meddler.value("SELECT count(*) FROM log_seals"),
        **{f"kills of a {what}": count for what, count in stage.kills.items()},
        **{f"builds: {what}": count for what, count in sorted(meddler.done.items())},
    }
    for name, value in figures.items():
        print(f"  {name:24} {value:,}")


if __name__ == "__main__":
    main()
