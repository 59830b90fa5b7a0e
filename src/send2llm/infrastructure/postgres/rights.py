"""What the role of the service may do in its database, beside using what is there."""

from collections.abc import Sequence
from typing import Any

import psycopg

MAKE_SCHEMAS = """
SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
WHERE NOT has_database_privilege(current_database(), 'CREATE')
"""
"""Gives the statement that lets the role make schemas, in which builds of projections are; nothing if it may."""

_MISSING = f"""
{MAKE_SCHEMAS}
UNION ALL
SELECT format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), current_user)
WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')
UNION ALL
SELECT format('GRANT CREATE ON SCHEMA %I TO %I', current_schema(), current_user)
WHERE NOT has_schema_privilege(current_schema(), 'CREATE')
"""


def missing_rights(connection: psycopg.Connection[Any]) -> Sequence[str]:
    """The statements that somebody with the right to give them would have to run."""
    return [row[0] for row in connection.execute(_MISSING.encode()).fetchall()]
