import json
from pathlib import Path

import pytest

from send2llm.interfaces.cli.batch_file import BatchFileInvalid, read_batch
from send2llm.interfaces.cli.errors import CommandFailed


@pytest.fixture
def batch(tmp_path: Path):
    def write(*lines: object) -> Path:
        path = tmp_path / "batch.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
        return path

    return write


def test_reads_mt_bench(batch):
    path = batch({"question_id": 81, "category": "writing", "turns": ["one", "two"]})
    (conversation,) = read_batch(path, "mt")
    assert conversation.turns == ("one", "two")
    assert conversation.item_id == 81
    assert conversation.labels == {"batch": "mt", "id": "81", "category": "writing"}


def test_reads_messages(batch):
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "an answer of somebody else's"},
        {"role": "user", "content": [{"type": "text", "text": "two"}]},
    ]
    (conversation,) = read_batch(batch({"messages": said, "labels": {"n": 1}}), "name")
    assert conversation.system == "Be brief."
    assert conversation.turns == ("one", [{"type": "text", "text": "two"}])
    assert conversation.labels == {"batch": "name", "n": "1"}


def test_reads_prompts_and_skips_empty_lines(batch):
    found = read_batch(batch({"prompt": "a", "id": "x"}, "", " ", {"prompt": "b"}), "name")
    assert [(one.line, one.turns, one.item_id) for one in found] == [(1, ("a",), "x"), (4, ("b",), None)]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n')
    assert read_batch(path, "n")[0].turns == ("a",)


def test_identity_follows_from_name_line_and_content(batch):
    first = read_batch(batch({"prompt": "a"}, {"prompt": "a"}), "name")
    again = read_batch(batch({"prompt": "a"}, {"prompt": "a"}), "name")
    assert [one.conversation_id for one in first] == [one.conversation_id for one in again]
    others = [
        *(one.conversation_id for one in first),
        read_batch(batch({"prompt": "a"}), "another")[0].conversation_id,
        read_batch(batch({"prompt": "b"}), "name")[0].conversation_id,
    ]
    assert len(set(others)) == 4
    assert first[0].idempotency_key(1) != first[0].idempotency_key(2)


def test_identity_is_the_same_for_ever(batch):
    (conversation,) = read_batch(batch('{"prompt": "a"}'), "name")
    assert str(conversation.conversation_id) == "48b3e8a3-6beb-5585-aac4-bf679d1cb129"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "needs one of turns, messages and prompt"),
        ('{"prompt": "a", "turns": ["b"]}', "not several"),
        ('{"prompt": 1}', "prompt is not text"),
        ('{"turns": "a"}', "turns is not a list"),
        ('{"turns": []}', "says nothing"),
        ('{"turns": ["a", " "]}', "turn 2 is empty"),
        ('{"turns": ["a", 2]}', "turn 2 is empty or neither text"),
        ('{"messages": [{"role": "system", "content": "x"}]}', "says nothing"),
        ('{"messages": ["x"]}', "message 1 is not a JSON object"),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "y"}]}',
            "message 2 has the role",
        ),
        ('{"prompt": "\\ud800"}', "surrogate"),
        ('{"prompt": "a", "id": 1.5}', "id is neither"),
        ('{"prompt": "a", "labels": []}', "labels is not"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_names_the_line_at_fault(batch, line, fault):
    with pytest.raises(BatchFileInvalid, match="line 2: ") as raised:
        read_batch(batch({"prompt": "good"}, line), "name")
    assert fault in str(raised.value)


def test_names_a_line_that_is_not_utf8(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_bytes(b'{"prompt": "a"}\n{"prompt": "\xff"}\n')
    with pytest.raises(BatchFileInvalid, match="line 2: it is not UTF-8"):
        read_batch(path, "n")


def test_names_the_first_few_of_many(batch):
    with pytest.raises(BatchFileInvalid, match="and 15 more lines"):
        read_batch(batch(*["{"] * 20), "name")


def test_an_empty_or_missing_file(batch, tmp_path):
    with pytest.raises(BatchFileInvalid, match="it is empty"):
        read_batch(batch(""), "name")
    with pytest.raises(CommandFailed, match="cannot be read: No such file"):
        read_batch(tmp_path / "nothing", "name")
