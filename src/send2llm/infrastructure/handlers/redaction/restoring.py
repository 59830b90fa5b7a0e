"""Gives the caller's own words back in an answer."""

from send2llm.handlers import TextKind
from send2llm.infrastructure.handlers.redaction.vault import Vault


class Restoring:
    """A rewriter: puts originals in the places of placeholders, also where one is cut across pieces.

    Only what may be the beginning of a placeholder is held back.
    """

    def __init__(self, vault: Vault, kind: TextKind) -> None:
        self._vault = vault
        self._in_json = kind == "arguments"
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be passed on by now."""
        text = self._held + piece
        begin = text.rfind("[")
        if begin >= 0 and self._vault.may_go_on(text[begin:]):
            self._held = text[begin:]
            text = text[:begin]
        else:
            self._held = ""
        return self._vault.restored(text, in_json=self._in_json) if "[" in text else text

    def end(self) -> str:
        """What was held back."""
        rest, self._held = self._held, ""
        return rest
