"""What was found of a log, for people."""

from typing import Any

from send2llm.interfaces.cli.output import count, note, warn


def show_verification(found: dict[str, Any]) -> None:
    """One line, and more where something is not sealed yet, or was later than it should have been."""
    if found["fault"]:
        warn(" ".join(filter(None, (found["fault"], _place(found), _remedy(found)))))
    elif not found["events"] and not found["unsealed"]:
        note("The log is empty: there is nothing to verify.")
    else:
        note(
            f"The log is intact: {count(found['events'])} events under {count(found['seals'])} seals; "
            f"{count(found['unsealed'])} are not sealed yet."
        )
    if found["unsealed"] and not found["fault"]:
        warn(
            f"Nothing proves what stands after position {count(found['last_position'])} "
            f"({count(found['unsealed'])} events) until it is sealed, seconds after it was stored."
        )
    if found["late_seals"]:
        warn(
            f"{count(found['late_seals'])} seals were made more than an hour after what they seal: the service stood "
            "still, or sealing was switched on later, or seals were removed and made anew. A seal that was kept "
            "elsewhere tells (--kept)."
        )


def _place(found: dict[str, Any]) -> str:
    seal, position, after = found["seal"], found["position"], found["after"]
    if position is None:
        return ""
    if after is not None and position > after + 1:
        place = f"after position {after} and up to {position}"
    else:
        place = f"position {position}"
    return f"{place[0].upper()}{place[1:]}." if seal is None else f"Seal {seal}, {place}."


def _remedy(found: dict[str, Any]) -> str:
    if found["seals"] or found["seal"] is not None or not found["unsealed"]:
        return ""
    return "Events are sealed some seconds after they were stored, if there is a key for that (seals.key_file)."
