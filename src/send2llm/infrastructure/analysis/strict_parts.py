"""Parts of an export as they were written, and nothing else: what is wrong with one is told with its first position."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from send2llm.application.chain_verification import LogFault
from send2llm.domain.log_seals import Seal
from send2llm.infrastructure.analysis import parts, schemas

_NEVER_NULL = ("position", "stream", "version", "topic", "state")
"""What an event is sealed by; the other columns are null where its state says nothing."""

_FIRST_MOMENT, _LAST_MOMENT = (
    pa.scalar(moment, schemas.MOMENT).cast(pa.int64())
    for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)


class EventsPart(NamedTuple):
    """The events of a part, in the order of their positions, before the ``fault``, if there is one."""

    table: Any
    fault: LogFault | None


def read_events(part: Path) -> EventsPart:
    """The events of a part; those behind one that is no event are left out."""
    try:
        table = _read(part, schemas.EVENTS)
    except LogFault as fault:
        return EventsPart(schemas.EVENTS.empty_table(), fault)
    place, what = min(_faults_of(table), default=(table.num_rows, ""))
    if not what:
        return EventsPart(table, None)
    return EventsPart(table.slice(0, place), LogFault(f"{part}: {what}", position=_position_at(table, place, part)))


def read_seals(part: Path) -> list[Seal]:
    """The seals of a part; raises ``LogFault``."""
    table = _read(part, schemas.SEALS)
    first, _ = parts.span_of(part)
    for name in schemas.SEALS.names:
        if table[name].null_count:
            raise LogFault(f"{part}: a seal has no {name}.", position=first)
    try:
        return [Seal(**{**row, "chain": UUID(row["chain"])}) for row in table.to_pylist()]
    except (ValueError, OverflowError):
        raise LogFault(f"{part}: the chain or the time of a seal is none.", position=first) from None


def _read(part: Path, schema: Any) -> Any:
    """The table of a part, with the columns of the schema and no others; raises ``LogFault``."""
    first, _ = parts.span_of(part)
    try:
        table = pq.ParquetFile(part).read()
        table.validate(full=True)
        odd = _odd_columns(table.schema, schema)
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: a name that is no UTF-8
        raise LogFault(
            f"{part} cannot be read ({type(error).__name__}): it is damaged, or was not written by `send2llm export`.",
            position=first,
        ) from None
    if odd:
        raise LogFault(f"{part} has other columns than an export ({odd}).", position=first)
    return table


def _odd_columns(found: Any, wanted: Any) -> str:
    """Which columns are missing, or of another type, and which are too many; nothing if all is well."""
    if found.equals(wanted):
        return ""
    missing = [field.name for field in wanted if field not in found]
    others = [field.name for field in found if field not in wanted]
    return f"missing: {', '.join(missing) or 'none'}; not of an export: {', '.join(others) or 'none'}"


def _faults_of(table: Any) -> list[tuple[int, str]]:
    """The first place of each thing that no event has."""
    if not table.num_rows:
        return []
    found = [(_first(pc.is_null(table[name])), f"an event has no {name}.") for name in _NEVER_NULL]
    positions = table["position"].combine_chunks()
    descends = pc.less(positions.slice(1), positions.slice(0, len(positions) - 1))
    found.append((_first(descends, 1), "the events are not in the order of their positions."))
    at = table["occurred_at"].cast(pa.int64())
    no_time = pc.or_(pc.less(at, _FIRST_MOMENT), pc.greater(at, _LAST_MOMENT))
    found.append((_first(no_time), "the time of an event is none."))
    return [(place, what) for place, what in found if place >= 0]


def _first(mask: Any, behind: int = 0) -> int:
    """The first place at which the mask is true, counted ``behind`` so many others; -1 for none."""
    place: int = pc.index(mask, True).as_py()
    return place + behind if place >= 0 else place


def _position_at(table: Any, place: int, part: Path) -> int:
    """The position of an event; where it tells none, the one after the event before it."""
    told: int | None = table["position"][place].as_py()
    if told is not None:
        return told
    first, _ = parts.span_of(part)
    return table["position"][place - 1].as_py() + 1 if place else first
