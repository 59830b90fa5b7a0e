"""Many processes may run a projection; one at a time does."""

from stage import Stage
from tally_projection import Tally

from send2llm.testing.eventually import eventually


def test_one_works_and_the_other_takes_over(stage: Stage) -> None:
    with stage.project(Tally()), stage.project(Tally()):
        eventually(lambda: len(stage.runners()) == 2)
        for _ in range(3):
            holder = eventually(stage.lease_holder)
            stage.say(*["word"] * 20)
            eventually(stage.caught_up)
            assert stage.lease_holder() == holder
            stage.end(holder)
            eventually(lambda gone=holder: stage.lease_holder() not in (None, gone))
        stage.say("the last")
        eventually(stage.caught_up)
    stage.assert_tally_is_exact()


def test_who_stops_gives_the_lease_up_at_once(stage: Stage) -> None:
    with stage.project(Tally()):
        first = eventually(stage.lease_holder)
        with stage.project(Tally()):
            eventually(lambda: len(stage.runners()) == 2)
            assert stage.lease_holder() == first
        assert stage.lease_holder() == first
    eventually(lambda: stage.lease_holder() is None)
