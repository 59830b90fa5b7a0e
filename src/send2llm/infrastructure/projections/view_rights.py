"""Who may do what with a view, and its options: kept when it is led to another table, or made anew."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from send2llm.infrastructure.projections.checkpoints import quoted

_RIGHTS = text(
    """
SELECT attname, privilege_type AS privilege, is_grantable AS may_grant,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
FROM (
    SELECT NULL AS attname, (aclexplode(relacl)).* FROM pg_class WHERE oid = CAST(:view AS regclass)
    UNION ALL
    SELECT attname, (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = CAST(:view AS regclass)
) AS rights
"""
)
_COLUMNS = text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:view AS regclass) AND attnum > 0")

_OPTIONS = text(
    """
SELECT ' WITH (' || string_agg(format('%I = %L', option_name, option_value), ', ') || ')'
FROM pg_class, pg_options_to_table(reloptions) WHERE oid = to_regclass(:view)
"""
)


def options_of(connection: Connection, view: str) -> str:
    """The clause with a view's options, such as ``security_barrier``: a view that is replaced without it loses them."""
    clause: str | None = connection.execute(_OPTIONS, {"view": view}).scalar_one()
    return (clause or "").replace(":", "\\:")


def rights_to(connection: Connection, view: str) -> Sequence[Row[Any]]:
    """The rights that were given to a view, or to some of its columns."""
    return connection.execute(_RIGHTS, {"view": view}).all()


def give_rights(connection: Connection, view: str, rights: Sequence[Row[Any]]) -> None:
    """Give them to the view that is there now; those to columns that it has not are lost."""
    columns = set(connection.execute(_COLUMNS, {"view": view}).scalars())
    for right in rights:
        if right.attname is not None and right.attname not in columns:
            continue
        part = "" if right.attname is None else " (" + quoted(right.attname) + ")"
        option = " WITH GRANT OPTION" if right.may_grant else ""
        grant = f"GRANT {right.privilege}{part} ON {view} TO {right.grantee}{option}"
        connection.execute(text(grant.replace(":", "\\:")))
