"""Examples of the stored events of prompt templates, for ``event_examples``."""

from send2llm.domain.prompt_template_events import (
    TemplateMessage,
    TemplateRetired,
    TemplateVariable,
    TemplateVersionAdded,
)

TEMPLATE_EXAMPLES = {
    "template.version_added": [
        TemplateVersionAdded(
            version=2,
            messages=(
                TemplateMessage("system", "Answer as {{company}} does, in {{words}} words. \\{{ \U0001f600 \ud83d"),
                TemplateMessage("user", "Who are you?"),
            ),
            variables=(TemplateVariable("company"), TemplateVariable("words", "number")),
        ),
        TemplateVersionAdded(version=1, messages=(TemplateMessage("system", "Be brief."),)),
    ],
    "template.retired": [TemplateRetired(reason="replaced"), TemplateRetired()],
}
