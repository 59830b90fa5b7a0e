"""The conversation that ``send --continue`` goes on with: the last one that this user sent to."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from send2llm.interfaces.cli.errors import CommandFailed


@dataclass(frozen=True, slots=True)
class LastConversation:
    """Where it is, and which model it was sent to."""

    url: str
    conversation_id: str
    model: str


def _file() -> Path:
    return platformdirs.user_state_path("send2llm", appauthor=False) / "last_conversation.json"


def remember(last: LastConversation) -> None:
    """Keep it for the next call; where nothing can be written, that has to name the conversation itself."""
    file = _file()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps(asdict(last)), encoding="utf-8")
        draft.replace(file)


def recall(url: str) -> LastConversation:
    """The last conversation; raises ``CommandFailed`` when there is none with the service at ``url``."""
    try:
        last = LastConversation(**json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # never written, or not by this version
        raise CommandFailed(
            "There is no conversation to continue yet. Leave --continue out, or name one with "
            "--conversation ID; `send2llm history` lists them."
        ) from None
    if last.url != url:
        raise CommandFailed(
            f"The last conversation was with the service at {last.url}, not {url}. Add --url {last.url} to continue it."
        )
    return last
