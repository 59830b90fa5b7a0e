"""``/api/templates``: prompts with variables, under names, in versions."""

from typing import Any

from fastapi import APIRouter, Response

from send2llm.domain.prompt_template import PromptTemplate
from send2llm.domain.prompt_template_events import TemplateMessage, TemplateVariable, TemplateVersionAdded
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.bodies import RetireTemplate, SetTemplate
from send2llm.interfaces.http.dependencies import TheContext, TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/templates", tags=["templates"], route_class=StrictRoute)


@router.put(
    "/{name}", summary="Set what a prompt says from now on", response_model=None, responses=ends(answers.Template, 409)
)
async def set_(service: TheService, context: TheContext, name: str, body: SetTemplate) -> Response:
    """The first version makes the template. What the last version says already changes nothing."""
    messages = [TemplateMessage(message.role, message.content) for message in body.messages]
    variables = [TemplateVariable(variable, kind) for variable, kind in body.variables.items()]
    template = await service.template_commands.set(context, name, messages, variables)
    return views.json_response(_whole(template, template.one()))


@router.get("", summary="All prompt templates", response_model=None, responses=ends(answers.Templates))
async def list_templates(service: TheService, retired: bool = False) -> Response:
    """With `retired`, those that no request can use any more as well."""
    found = [template for template in await service.templates.all() if retired or not template.retired]
    return views.json_response({"data": [_summary(template) for template in found]})


@router.get(
    "/{name}",
    summary="A prompt template with its last version",
    response_model=None,
    responses=ends(answers.Template, 404),
)
async def show(service: TheService, name: str) -> Response:
    """With its messages and variables."""
    template = await service.templates.load(name)
    return views.json_response(_whole(template, template.one()))


@router.get(
    "/{name}/versions/{version}",
    summary="One version of a prompt template",
    response_model=None,
    responses=ends(answers.Template, 404),
)
async def show_version(service: TheService, name: str, version: int) -> Response:
    """Versions count from 1; none is ever changed."""
    template = await service.templates.load(name)
    return views.json_response(_whole(template, template.one(version)))


@router.post(
    "/{name}/retire",
    summary="Let no request use a prompt template any more",
    response_model=None,
    responses=ends(answers.TemplateLine, 404, 409),
)
async def retire(service: TheService, context: TheContext, name: str, body: RetireTemplate | None = None) -> Response:
    """Its versions can still be read."""
    template = await service.template_commands.retire(context, name, body.reason if body else "")
    return views.json_response(_summary(template))


def _summary(template: PromptTemplate) -> dict[str, Any]:
    return {"name": template.name, "last_version": len(template.versions), "retired": template.retired}


def _whole(template: PromptTemplate, version: TemplateVersionAdded) -> dict[str, Any]:
    return {
        **_summary(template),
        "version": version.version,
        "messages": [{"role": message.role, "content": message.text} for message in version.messages],
        "variables": {variable.name: variable.type for variable in version.variables},
    }
