"""Many processes may run a projection; one at a time does."""

from collections.abc import Callable

from onlooker import Onlooker, Project
from tally_projection import Tally

from send2llm.testing.eventually import eventually


def test_one_works_and_the_other_takes_over(project: Project, say: Callable[..., None], onlooker: Onlooker) -> None:
    with project(Tally()), project(Tally()):
        eventually(lambda: len(onlooker.backends("send2llm projection tally")) == 2)
        for _ in range(3):
            holder = eventually(onlooker.lease_holder)
            say(*["word"] * 20)
            eventually(onlooker.caught_up)
            assert onlooker.lease_holder() == holder
            onlooker.end(holder)
            eventually(lambda gone=holder: onlooker.lease_holder() not in (None, gone))
        say("the last")
        eventually(onlooker.caught_up)
    onlooker.assert_tally_is_exact()


def test_who_stops_gives_the_lease_up_at_once(project: Project, onlooker: Onlooker) -> None:
    with project(Tally()):
        first = eventually(onlooker.lease_holder)
        with project(Tally()):
            eventually(lambda: len(onlooker.backends("send2llm projection tally")) == 2)
            assert onlooker.lease_holder() == first
        assert onlooker.lease_holder() == first
    eventually(lambda: onlooker.lease_holder() is None)
