"""The library's own tests for application recorders, run against the group commit."""

from uuid import uuid4

import pytest
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)


class LibraryCase:
    """Streams are named by text here, and a recorder comes from the fixtures."""

    @pytest.fixture(autouse=True)
    def _use_recorder(self, recorder):
        self.recorder = recorder

    def create_recorder(self):
        return self.recorder

    def new_originator_id(self):
        return str(uuid4())


class TestApplicationRecorderContract(LibraryCase, ApplicationRecorderTestCase):
    def test_insert_subscribe(self):
        self.optional_test_insert_subscribe()


class TestNonInterleavingContract(LibraryCase, NonInterleavingNotificationIDsBaseCase):
    insert_num = 1000


# Imported base classes would be collected as tests of their own.
del ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase
