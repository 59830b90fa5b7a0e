"""The events of a prompt template: its versions, as they came, and its end."""

from dataclasses import dataclass
from typing import Literal

from send2llm.domain.message import Role

VariableType = Literal["text", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """A message; ``prompt_text`` tells how variables stand in its text."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class TemplateVariable:
    """What a request has to give."""

    name: str
    type: VariableType = "text"


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """The version of a template that messages of a request were made from."""

    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersionAdded:
    """A version of the template; versions count from 1, and none is ever changed."""

    version: int
    messages: tuple[TemplateMessage, ...]
    variables: tuple[TemplateVariable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRetired:
    """No request can use the template any more, in any version."""

    reason: str = ""


TemplateEvent = TemplateVersionAdded | TemplateRetired
