"""The prompt template: messages with variables, under a name, in versions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Self, get_args

from send2llm.domain.aggregate import Aggregate
from send2llm.domain.errors import InvalidRequest, TemplateIsRetired, TemplateNotFound, TemplateVersionNotFound
from send2llm.domain.message import Message, Role, TextPart
from send2llm.domain.prompt_template_events import (
    TemplateEvent,
    TemplateMessage,
    TemplateRetired,
    TemplateVariable,
    TemplateVersionAdded,
    VariableType,
)
from send2llm.domain.prompt_text import filled, variables_in

FOREIGN_BEGINNING = "pmpt_"
"""How the ids of prompts begin that OpenAI stores; no template has such a name, so that they can be told apart."""

MOST_MESSAGES = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ROLES = tuple(role for role in get_args(Role) if role != "tool")


class PromptTemplate(Aggregate[TemplateEvent]):
    """A named prompt, folded from its events; a version, once there, is never changed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.versions: list[TemplateVersionAdded] = []
        self.retired = False

    @classmethod
    def fold(cls, name: str, events: Iterable[TemplateEvent]) -> Self:
        """The state after ``events``; raises ``TemplateNotFound`` when there are none."""
        template = cls(name)
        template.follow(events)
        if not template.version:
            raise TemplateNotFound(name)
        return template

    def add_version(self, messages: Sequence[TemplateMessage], variables: Iterable[TemplateVariable] = ()) -> None:
        """Add a version, unless it says just what the last one does.

        ``variables`` says which are no text; those that are not named there are. Raises ``InvalidRequest``,
        ``TemplateIsRetired``.
        """
        if self.retired:
            raise TemplateIsRetired(self.name)
        _check_name(self.name)
        _check_messages(messages)
        added = TemplateVersionAdded(
            version=len(self.versions) + 1, messages=tuple(messages), variables=_all_variables(messages, variables)
        )
        last = self.versions[-1] if self.versions else None
        if last is None or (last.messages, last.variables) != (added.messages, added.variables):
            self._record(added)

    def retire(self, reason: str = "") -> None:
        """Let no request use it any more; retiring a retired template changes nothing."""
        if not self.retired:
            self._record(TemplateRetired(reason=reason))

    def one(self, version: int | None = None) -> TemplateVersionAdded:
        """A version, by default the last; raises ``TemplateVersionNotFound``."""
        if version is None:
            return self.versions[-1]
        if not 1 <= version <= len(self.versions):
            raise TemplateVersionNotFound(self.name, version, len(self.versions))
        return self.versions[version - 1]

    def usable(self, version: int | None = None) -> TemplateVersionAdded:
        """As ``one``, for a request; raises ``TemplateIsRetired`` as well."""
        if self.retired:
            raise TemplateIsRetired(self.name)
        return self.one(version)

    def _apply(self, event: TemplateEvent) -> None:
        match event:
            case TemplateVersionAdded():
                self.versions.append(event)
            case TemplateRetired():
                self.retired = True


def rendered(version: TemplateVersionAdded, values: Mapping[str, object], param: str) -> tuple[Message, ...]:
    """The messages with the values in their places; raises ``InvalidRequest`` that names what is wrong with them."""
    known = {variable.name: variable.type for variable in version.variables}
    for words, names in (("lacks", known.keys() - values.keys()), ("has no variable", values.keys() - known.keys())):
        if names:
            listed = ", ".join(name[:100] for name in sorted(names))
            needed = ", ".join(known) or "no variables"
            raise InvalidRequest(f"{param}: the prompt {words} {listed}. It takes {needed}.", param=param)
    texts = {name: _as_text(values[name], kind, f"{param}.{name}") for name, kind in known.items()}
    return tuple(Message(one.role, (TextPart(filled(one.text, texts)),)) for one in version.messages)


def _as_text(value: object, kind: VariableType, param: str) -> str:
    match kind, value:
        case "text", str():
            return value
        case "boolean", bool():
            return "true" if value else "false"
        case "number", int() | float() if not isinstance(value, bool) and isfinite(value):
            return repr(value)
    raise InvalidRequest(f"{param} must be a {kind}.", param=param)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith(FOREIGN_BEGINNING):
        raise InvalidRequest(
            f"A template's name has 1 to 100 letters, digits, dots, dashes and underscores, and does not begin with "
            f"{FOREIGN_BEGINNING}.",
            param="name",
        )


def _check_messages(messages: Sequence[TemplateMessage]) -> None:
    if not 1 <= len(messages) <= MOST_MESSAGES:
        raise InvalidRequest(f"A template has 1 to {MOST_MESSAGES} messages.", param="messages")
    for place, message in enumerate(messages):
        if message.role not in _ROLES:
            raise InvalidRequest(f"A role is one of {', '.join(_ROLES)}.", param=f"messages.{place}.role")
        if not message.text.strip():
            raise InvalidRequest("A message of a template has some text.", param=f"messages.{place}.text")


def _all_variables(
    messages: Sequence[TemplateMessage], declared: Iterable[TemplateVariable]
) -> tuple[TemplateVariable, ...]:
    """The variables in the order in which they first appear."""
    types = {variable.name: variable.type for variable in declared}
    names = [
        name for place, message in enumerate(messages) for name in variables_in(message.text, f"messages.{place}.text")
    ]
    for name, kind in types.items():
        if name not in names:
            raise InvalidRequest(f"No message has the variable {name[:100]}.", param=f"variables.{name[:100]}")
        if kind not in get_args(VariableType):
            raise InvalidRequest(
                f"A variable is of the type {', '.join(get_args(VariableType))}.", param=f"variables.{name[:100]}"
            )
    return tuple(TemplateVariable(name, types.get(name, "text")) for name in dict.fromkeys(names))
