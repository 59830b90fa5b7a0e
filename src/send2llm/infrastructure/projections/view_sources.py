"""What views lead to, and so whose they are: a name may have been taken by anybody with a table or view of his own."""

from collections.abc import Collection

from sqlalchemy import Connection, text

from send2llm.domain.errors import ProjectionViewTaken
from send2llm.infrastructure.projections.checkpoints import builds_of, usual_place

Source = tuple[str, str]
"""The schema of a table, and its name."""

_READ_BY_VIEW = text(
    """
    SELECT DISTINCT relation.relkind = 'v', source.relnamespace::regnamespace::text, source.relname
    FROM pg_class AS relation
    LEFT JOIN pg_rewrite AS rule ON rule.ev_class = relation.oid
    LEFT JOIN pg_depend AS needed ON needed.classid = 'pg_rewrite'::regclass AND needed.objid = rule.oid
        AND needed.refclassid = 'pg_class'::regclass AND needed.refobjid <> relation.oid
    LEFT JOIN pg_class AS source ON source.oid = needed.refobjid
    WHERE relation.relname = :view AND relation.relnamespace = to_regnamespace(:usual)
    """
)


def sources_of(connection: Connection, view: str) -> Collection[Source] | None:
    """The tables that a view reads, none if it is no view; ``None`` when nothing has that name."""
    rows = connection.execute(_READ_BY_VIEW, {"view": view, "usual": usual_place(connection)}).all()
    return {(place, table) for is_view, place, table in rows if is_view and table is not None} if rows else None


def refuse_views_of_others(connection: Connection, projection: str, views: Collection[str]) -> None:
    """Raise ``ProjectionViewTaken`` if one of the names is that of anything but a view of the projection's builds."""
    usual = usual_place(connection)
    own = {(build.place or usual, table) for build in builds_of(connection, projection) for table in build.tables}
    for view in sorted(views):
        found = sources_of(connection, view)
        if found is not None and not (found and own.issuperset(found)):
            raise ProjectionViewTaken(projection, view)
