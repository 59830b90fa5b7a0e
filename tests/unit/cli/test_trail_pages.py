"""The trail on the command line: what it is known up to, also when its reader has had enough."""

from typing import Any

from send2llm.interfaces.cli.trail import _Pages


class Trail:
    """A service whose trail has three events in two pages."""

    def get(self, _path: str, *, after: int, **_: Any) -> dict[str, Any]:
        found = [{"position": 1}, {"position": 2}] if after < 2 else [{"position": 7}]
        return {"data": found, "more": after < 2, "reached": found[-1]["position"], "known_to": 9}


def test_it_is_known_up_to_where_the_service_says_when_only_the_first_event_is_wanted() -> None:
    pages = _Pages(Trail(), {}, 0)  # type: ignore[arg-type]
    assert next(pages.events()) == {"position": 1}
    assert pages.known_to == 9


def test_every_page_is_read() -> None:
    pages = _Pages(Trail(), {}, 0)  # type: ignore[arg-type]
    assert [event["position"] for event in pages.events()] == [1, 2, 7]
