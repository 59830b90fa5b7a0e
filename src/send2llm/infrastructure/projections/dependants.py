"""What other people have made upon the views and tables of a projection."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import DependentObjectsStillExist
from sqlalchemy.exc import DBAPIError

from send2llm.domain.errors import ProjectionConflict


class OthersDepend(ProjectionConflict):
    """Something of somebody else's would be removed as well; time alone does not change that."""


@contextmanager
def dependants_named() -> Iterator[None]:
    """Raises ``OthersDepend``, which names them, where something cannot be removed because of them."""
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, DependentObjectsStillExist):
            raise
        named = "; ".join((error.orig.diag.message_detail or "").splitlines())
        raise OthersDepend(
            f"Others have made something upon what this would remove ({named}). Drop that, try again, and make it anew."
        ) from None
