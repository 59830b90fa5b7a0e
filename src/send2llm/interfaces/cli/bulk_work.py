"""How the garbage collector behaves while millions of rows pass through."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECTIONS = (100_000, 50, 100)
"""Rows make no cycles, and looking for some in a batch of them took a quarter of an export's processor time."""


@contextmanager
def bulk_work() -> Iterator[None]:
    """Collect rarely within the block."""
    before = gc.get_threshold()
    gc.set_threshold(*COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
