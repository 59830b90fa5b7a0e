"""What `audit verify` says, and where it says that something is wrong."""

from dataclasses import asdict
from typing import Any

import pytest

from send2llm.application.log_verification import LogVerification
from send2llm.interfaces.cli.verification import show_verification

CHANGED = {"fault": "An event was changed, inserted or removed.", "seal": 1}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "The log is intact: 28 events under 2 seals; 3 are not sealed yet."),
        ({}, "Nothing proves what stands after position 28 (3 events) until it is sealed"),
        (CHANGED | {"after": 16, "position": 17}, "removed. Seal 1, position 17."),
        (CHANGED | {"after": 29, "position": 31}, "removed. Seal 1, after position 29 and up to 31."),
        ({"fault": "Two events stand at one position.", "position": 17}, "at one position. Position 17."),
        ({"fault": "x.parquet is no part of an export."}, "x.parquet is no part of an export."),
        ({"fault": "Nothing is sealed.", "seals": 0, "events": 0, "position": 1}, "seals.key_file"),
        ({"seals": 0, "events": 0, "unsealed": 0}, "The log is empty"),
        ({"late_seals": 2}, "2 seals were made more than an hour after"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_it_is_said_where(found: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_verification(asdict(LogVerification(2, 28, 3, 28, [])) | found)

    assert said in " ".join(capsys.readouterr().err.split())
