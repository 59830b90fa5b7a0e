"""The list of mutations is about the code and the tests that there are."""

import re

import pytest
from catalogue import PACKAGE, PROJECT, Mutation, mutations


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_it_fits(mutation: Mutation) -> None:
    """When code was changed on purpose, so is the mutation; then ``try_mutations.py`` shows that tests still see it."""
    assert [edit.before for edit in mutation.edits if not edit.fits(PROJECT / PACKAGE)] == []
    for test in mutation.tests:
        file, *names = test.split("::")
        text = (PROJECT / file).read_text("utf-8")
        assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
