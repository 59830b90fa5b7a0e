"""``template``: a request names a stored prompt, and gives its variables."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from send2llm.domain.prompt_template import FOREIGN_BEGINNING, rendered
from send2llm.domain.prompt_template_events import TemplateUse
from send2llm.handlers import Exchange, Handler, HandlerOptions, InvalidRequest, SendMessage

FIELD = "prompt"
_KNOWN = frozenset({"id", "version", "variables"})


class Options(HandlerOptions):
    """There are none."""


class Template(Handler):
    """Puts the messages of a prompt template before those of a request that names one.

    The field is ``prompt``, in the shape of OpenAI's Responses API: ``id`` is the name, ``version`` a number, by
    default the last one, ``variables`` an object. What it names at OpenAI is left to OpenAI.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        Options.read("template", options)

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:
        """The request with the messages of its prompt, if it names one."""
        prompt = command.parameters.extras.get(FIELD) if command.parameters.embedding is None else None
        if not isinstance(prompt, Mapping) or str(prompt.get("id", "")).startswith(FOREIGN_BEGINNING):
            return command
        unknown = sorted(prompt.keys() - _KNOWN)
        if unknown:
            where = f"{FIELD}.{unknown[0][:100]}"
            raise InvalidRequest(f"{where} is no field of a prompt: it has id, version and variables.", param=where)
        name = prompt.get("id")
        if not isinstance(name, str):
            raise InvalidRequest(f"{FIELD}.id must be the name of a prompt template.", param=f"{FIELD}.id")
        variables = prompt.get("variables")
        if variables is not None and not isinstance(variables, Mapping):
            raise InvalidRequest(f"{FIELD}.variables must be an object.", param=f"{FIELD}.variables")
        version = await exchange.template(name, _version(prompt.get("version")))
        messages = rendered(version, variables or {}, f"{FIELD}.variables")
        extras = {field: value for field, value in command.parameters.extras.items() if field != FIELD}
        return replace(
            command,
            messages=[*messages, *command.messages],
            parameters=replace(command.parameters, extras=extras),
            template=TemplateUse(name, version.version),
        )


def _version(given: object) -> int | None:
    """Text, as OpenAI has it, or a number."""
    if given is None:
        return None
    text = str(given)
    if isinstance(given, bool) or not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise InvalidRequest(f'{FIELD}.version must be the number of a version, such as "2".', param=f"{FIELD}.version")
    return int(text)
