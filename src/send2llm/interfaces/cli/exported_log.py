"""``send2llm audit verify --export``: verifies files, with public keys and nothing else."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from send2llm.interfaces.cli.progress import progress_bar


def verify_export(folder: Path, public_keys: Sequence[str], kept: Sequence[Any]) -> dict[str, Any]:
    """What was found, in the words of ``POST /api/audit/log``."""
    from send2llm.infrastructure.analysis.extra import need_pyarrow

    need_pyarrow()
    from send2llm.infrastructure.analysis.exported_log import ExportedLog
    from send2llm.infrastructure.key_files import key_bytes
    from send2llm.infrastructure.log_seals.documents import read_seal

    trusted = [key_bytes(key, "--key") for key in public_keys]
    with progress_bar("Verifying", "events") as told:
        found = ExportedLog(folder).verify(trusted=trusted, kept=[read_seal(one) for one in kept], progress=told)
    return {"intact": not found.fault, **asdict(found)}
