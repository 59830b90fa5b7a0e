"""Whether two builds of a projection have the same rows."""

from sqlalchemy import Connection, text

from send2llm.infrastructure.projections.checkpoints import Build, qualified, usual_place


def differences(connection: Connection, live: Build, rebuilt: Build) -> str:
    """What is different, table by table, in words without anybody's data; empty when nothing is."""
    found = (_difference(connection, live, rebuilt, table) for table in live.tables)
    return "; ".join(filter(None, found))


def _difference(connection: Connection, live: Build, rebuilt: Build, table: str) -> str:
    usual = usual_place(connection)
    names = {"live": qualified(live.place or usual, table), "rebuilt": qualified(rebuilt.place or usual, table)}
    digests = {side: tuple(connection.execute(text(_DIGEST.format(name))).one()) for side, name in names.items()}
    if digests["live"] == digests["rebuilt"]:
        return ""
    only = {
        side: connection.execute(text(_ONLY.format(names[side], names[other]))).scalar_one()
        for side, other in (("live", "rebuilt"), ("rebuilt", "live"))
    }
    return f"{table}: {only['live']} rows only in the live build, {only['rebuilt']} only in the rebuilt one"


# The order of rows is no part of them, so they are summed; two hashes, so that no chance hides a difference.
_DIGEST = """
SELECT count(*), coalesce(sum(hashtextextended(r::text, 0)::numeric), 0),
       coalesce(sum(hashtextextended(r::text, 1)::numeric), 0)
FROM {} AS r
"""
_ONLY = "SELECT count(*) FROM (SELECT r::text FROM {} AS r EXCEPT ALL SELECT r::text FROM {} AS r) AS extra"
