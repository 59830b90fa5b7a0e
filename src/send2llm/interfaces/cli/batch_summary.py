"""What a batch came to, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from send2llm.interfaces.cli.batch_run import Outcome
from send2llm.interfaces.cli.output import count, note, show_table, usd, write


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a batch came to; tokens and cost are those of all its answers, recorded earlier or now."""

    name: str
    conversations: int
    answers: int
    replayed: int
    failed: Sequence[Outcome]
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    unpriced: int
    seconds: float

    @classmethod
    def of(cls, name: str, outcomes: Sequence[Outcome], seconds: float) -> Self:
        """Add up."""
        answers = [answer for outcome in outcomes for answer in outcome.answers]
        usages = [answer.get("usage") or {} for answer in answers]
        costs = [Decimal(answer["cost_usd"]) for answer in answers if answer.get("cost_usd") is not None]
        return cls(
            name=name,
            conversations=len(outcomes),
            answers=len(answers),
            replayed=sum(bool(answer.get("replayed")) for answer in answers),
            failed=[outcome for outcome in outcomes if not outcome.complete],
            input_tokens=sum(usage.get("input_tokens", 0) for usage in usages),
            output_tokens=sum(usage.get("output_tokens", 0) for usage in usages),
            cost_usd=sum(costs, Decimal(0)) if costs else None,
            unpriced=len(answers) - len(costs),
            seconds=seconds,
        )

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "conversations": self.conversations,
            "answers": self.answers,
            "replayed": self.replayed,
            "failed": [
                {
                    "line": outcome.conversation.line,
                    "id": outcome.conversation.item_id,
                    "conversation_id": str(outcome.conversation.conversation_id),
                    "error": outcome.error,
                }
                for outcome in self.failed
            ],
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
            "unpriced_answers": self.unpriced,
            "seconds": round(self.seconds, 3),
        }

    def show(self) -> None:
        """For people."""
        cost = usd(self.cost_usd) if self.cost_usd is not None else "no known price"
        if self.cost_usd is not None and self.unpriced:
            cost += f" and {count(self.unpriced)} answers without a known price"
        write(
            f"{count(self.conversations)} conversations, {count(self.answers)} answers "
            f"({count(self.replayed)} recorded earlier), {count(len(self.failed))} failed; "
            f"tokens: {count(self.input_tokens)} in, {count(self.output_tokens)} out; {cost}; {self.seconds:.1f} s\n"
        )
        if self.failed:
            rows = [
                (
                    str(outcome.conversation.line),
                    str(outcome.conversation.conversation_id),
                    f"{len(outcome.answers)}/{len(outcome.conversation.turns)}",
                    outcome.error or "",
                )
                for outcome in self.failed
            ]
            show_table(("line", "conversation", "answers", "error"), rows, flexible="error", right=("line", "answers"))
            note("The same command sends what is missing, and only that.")
