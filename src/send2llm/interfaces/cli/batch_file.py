"""A file of conversations to be held: JSON lines, read and checked as a whole before anything is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from send2llm.interfaces.cli.asking import Content
from send2llm.interfaces.cli.errors import CommandFailed

NAMESPACE = UUID("0fad3a96-3693-4374-85df-c0e02750d31f")
"""Of the ids of conversations that batches start. It never changes: a batch is resumed by these ids."""

SHAPES = (
    'Each line is {"turns": ["...", ...]}, {"messages": [{"role": ..., "content": ...}, ...]} or {"prompt": "..."}.'
)

MOST_ERRORS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConversation:
    """One line of the file: what the user will say, turn after turn.

    ``conversation_id`` follows from the batch's name, the line's number and its content, so that every run of
    the same file names the same conversations.
    """

    line: int
    conversation_id: UUID
    turns: tuple[Content, ...]
    system: Content | None = None
    item_id: str | int | None = None
    labels: Mapping[str, str]

    def idempotency_key(self, turn: int) -> str:
        """The key under which turn number ``turn`` is answered once and never again."""
        return f"batch-{self.conversation_id}-{turn}"


class BatchFileInvalid(CommandFailed):
    """Some lines are no conversations."""

    code = "batch_file_invalid"

    def __init__(self, path: Path, faults: list[str]) -> None:
        shown = faults[:MOST_ERRORS_SHOWN]
        if len(faults) > len(shown):
            shown.append(f"and {len(faults) - len(shown)} more lines")
        super().__init__(f"Nothing was sent, because of {path}:\n  " + "\n  ".join(shown) + f"\n{SHAPES}")


def read_batch(path: Path, name: str) -> list[BatchConversation]:
    """Read the file.

    Raises ``BatchFileInvalid``, which names the lines at fault, ``CommandFailed`` when it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}. Check the path after --batch.") from None
    conversations, faults = [], []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            conversations.append(_conversation(number, line.strip(), name))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        raise BatchFileInvalid(path, faults)
    if not conversations:
        raise BatchFileInvalid(path, ["it is empty"])
    return conversations


def _conversation(number: int, line: bytes, name: str) -> BatchConversation:
    entry = _json_object(line)
    system, turns = _said(entry)
    if not turns:
        raise ValueError("the user says nothing in it")
    item_id = entry.get("question_id", entry.get("id"))
    if not isinstance(item_id, str | int | None):
        raise ValueError("id is neither text nor a whole number")
    return BatchConversation(
        line=number,
        conversation_id=uuid5(NAMESPACE, f"{name}\n{number}\n{sha256(line).hexdigest()}"),
        turns=tuple(turns),
        system=system,
        item_id=item_id,
        labels={"batch": name, **({} if item_id is None else {"id": str(item_id)}), **_labels(entry)},
    )


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line.decode())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(entry, dict):
        raise ValueError("it is not a JSON object")
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError(r"it has half a surrogate pair (\ud800 to \udfff alone), which is no text") from None
    return entry


def _said(entry: dict[str, Any]) -> tuple[Content | None, list[Content]]:
    """The system message, if there is one, and what the user says."""
    shapes = [shape for shape in ("turns", "messages", "prompt") if shape in entry]
    if len(shapes) != 1:
        raise ValueError("it needs one of turns, messages and prompt" + (", not several" if shapes else ""))
    match entry:
        case {"turns": list(turns)}:
            return None, [_content(turn, f"turn {number}") for number, turn in enumerate(turns, 1)]
        case {"messages": list(messages)}:
            return _from_messages(messages)
        case {"prompt": str(prompt)}:
            return None, [_content(prompt, "prompt")]
    raise ValueError(f"{shapes[0]} is not {'text' if shapes[0] == 'prompt' else 'a list'}")


def _from_messages(messages: list[Any]) -> tuple[Content | None, list[Content]]:
    """Each message of the user is a turn; answers written into the file give way to those of the model."""
    system: Content | None = None
    turns: list[Content] = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise ValueError(f"message {number} is not a JSON object")
        match message.get("role"):
            case "user":
                turns.append(_content(message.get("content"), f"message {number}"))
            case "system" | "developer" if number == 1:
                system = _content(message.get("content"), "message 1")
            case "assistant":
                pass
            case role:
                raise ValueError(
                    f"message {number} has the role {role!r}: only a first system message, user and assistant"
                )
    return system, turns


def _content(value: object, where: str) -> Content:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return value
    raise ValueError(f"{where} is empty or neither text nor a list of content parts")


def _labels(entry: dict[str, Any]) -> dict[str, str]:
    labels = entry.get("labels", {})
    if not isinstance(labels, dict):
        raise ValueError("labels is not a JSON object")
    if "category" in entry:
        labels = {"category": entry["category"], **labels}
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in labels.items()}
