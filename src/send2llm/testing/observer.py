"""An observer that remembers."""

from send2llm.application.ports import AttemptReport, CallReport


class RecordingObserver:
    """An ``Observer`` that keeps every report, in order."""

    def __init__(self) -> None:
        self.attempts: list[AttemptReport] = []
        self.calls: list[CallReport] = []

    def attempt_failed(self, report: AttemptReport) -> None:
        """Keep it."""
        self.attempts.append(report)

    def call_ended(self, report: CallReport) -> None:
        """Keep it."""
        self.calls.append(report)
