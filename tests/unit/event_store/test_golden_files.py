"""What was ever stored can be read for ever, and what is stored now is what the golden files say."""

import json
import re
from dataclasses import fields
from pathlib import Path

import orjson
import pytest
from event_examples import BARE_METADATA, EXAMPLES, GOLDEN, WHOLE_METADATA, states

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry

REGISTRY = EventRegistry.default()
CODEC = EventCodec(REGISTRY)
FILES = sorted(GOLDEN.glob("*.json"))
HINT = "run tests/unit/event_store/event_examples.py to write it"


def topic_and_version(file: Path) -> tuple[str, int]:
    match = re.fullmatch(r"(.+)\.v(\d+)\.json", file.name)
    assert match, f"{file.name} is not <topic>.v<version>.json"
    return match[1], int(match[2])


@pytest.mark.parametrize("event_type", list(REGISTRY), ids=lambda event_type: event_type.topic)
class TestEachEvent:
    def test_has_a_golden_file_for_each_version(self, event_type):
        there = {version for topic, version in map(topic_and_version, FILES) if topic == event_type.topic}
        assert there == set(range(1, event_type.version + 1)), HINT

    def test_is_stored_as_its_newest_golden_file_says(self, event_type):
        file = GOLDEN / f"{event_type.topic}.v{event_type.version}.json"
        assert states(event_type.topic, CODEC) == json.loads(file.read_text()), (
            f"{event_type.topic} would be stored differently from now on: if old events cannot be read as they are, "
            "raise its version and register an upcast; never edit a golden file"
        )

    def test_is_read_back_as_it_was(self, event_type):
        file = GOLDEN / f"{event_type.topic}.v{event_type.version}.json"
        metadata = (WHOLE_METADATA, BARE_METADATA)
        for number, state in enumerate(json.loads(file.read_text())):
            read = CODEC.decode(7, "stream", number + 1, event_type.topic, orjson.dumps(state))
            assert read.event == EXAMPLES[event_type.topic][number]
            assert read.metadata == metadata[number]
            assert (read.position, read.stream, read.version, read.topic) == (
                7,
                "stream",
                number + 1,
                event_type.topic,
            )

    def test_shows_every_field_in_its_examples(self, event_type):
        shown = {name for state in states(event_type.topic, CODEC) for name in state["data"]}
        assert shown == {field.name for field in fields(event_type.event_class)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_golden_file_can_be_read(file):
    topic, version = topic_and_version(file)
    event_class = REGISTRY.of_topic(topic).event_class
    for state in json.loads(file.read_text()):
        assert state["meta"]["schema_version"] == version
        assert isinstance(CODEC.decode_event("stream", 1, topic, orjson.dumps(state)), event_class)
