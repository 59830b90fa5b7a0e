"""Prompt templates: what people do with them, and how requests find them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from send2llm.application.change import TRIES
from send2llm.application.context import Context
from send2llm.application.ports import Clock
from send2llm.domain.errors import StaleTemplate, TemplateNotFound
from send2llm.domain.prompt_template import PromptTemplate
from send2llm.domain.prompt_template_events import TemplateMessage, TemplateVariable, TemplateVersionAdded

FRESH_FOR = 1.0
"""Seconds for which a template that was looked up is not looked up again."""

MOST_KEPT = 10_000


class Templates(Protocol):
    """The prompt templates in the event store. Every method raises ``StoreUnavailable``."""

    async def load(self, name: str) -> PromptTemplate:
        """A template of the caller's own; raises ``TemplateNotFound``."""
        ...

    async def all(self) -> Sequence[PromptTemplate]:
        """All templates, in the order of their first versions."""
        ...

    async def save(self, template: PromptTemplate, context: Context) -> None:
        """Store its new events, all or nothing; raises ``StaleTemplate`` when somebody else was first."""
        ...


class TemplateShelf:
    """The templates that requests use, kept at hand: what another process changed counts within a second."""

    def __init__(self, templates: Templates, clock: Clock) -> None:
        self._templates = templates
        self._clock = clock
        self._kept: dict[str, tuple[float, PromptTemplate]] = {}

    async def usable(self, name: str, version: int | None = None) -> TemplateVersionAdded:
        """A version, by default the last.

        Raises ``TemplateNotFound``, ``TemplateVersionNotFound``, ``TemplateIsRetired``, ``StoreUnavailable``.
        """
        now = self._clock.monotonic()
        known = self._kept.get(name)
        if known is None or now - known[0] > FRESH_FOR:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            known = self._kept[name] = (now, await self._templates.load(name))
        return known[1].usable(version)

    def forget(self, name: str) -> None:
        """Look a template up again when it is wanted next: it was changed here."""
        self._kept.pop(name, None)


class TemplateCommands:
    """Handles the commands; each returns the template as it is afterwards. Every method raises ``StoreUnavailable``."""

    def __init__(self, templates: Templates, shelf: TemplateShelf) -> None:
        self._templates = templates
        self._shelf = shelf

    async def set(
        self,
        context: Context,
        name: str,
        messages: Sequence[TemplateMessage],
        variables: Iterable[TemplateVariable] = (),
    ) -> PromptTemplate:
        """Add a version, the first one makes the template; what the last one says already changes nothing.

        Raises ``InvalidRequest``, ``TemplateIsRetired``. Other processes use it within a second.
        """
        declared = tuple(variables)
        return await self._changed(context, name, lambda template: template.add_version(messages, declared), new=True)

    async def retire(self, context: Context, name: str, reason: str = "") -> PromptTemplate:
        """Let no request use it any more; raises ``TemplateNotFound``."""
        return await self._changed(context, name, lambda template: template.retire(reason))

    async def _changed(
        self, context: Context, name: str, command: Callable[[PromptTemplate], None], *, new: bool = False
    ) -> PromptTemplate:
        for _ in range(TRIES):
            try:
                template = await self._templates.load(name)
            except TemplateNotFound:
                if not new:
                    raise
                template = PromptTemplate(name)
            command(template)
            try:
                await self._templates.save(template, context)
            except StaleTemplate:
                continue
            self._shelf.forget(name)
            return template
        raise StaleTemplate(name)
