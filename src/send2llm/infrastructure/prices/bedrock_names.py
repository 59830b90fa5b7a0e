"""Names of models on Amazon Bedrock, which say more than the model: where it runs, whose it is, which version.

``us.anthropic.claude-sonnet-4-5-20250929-v1:0``, alone or at the end of an ARN. See
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html.
"""

import re

_HEAD = re.compile(
    r"(?:arn:aws:bedrock:[a-z0-9-]*:\d*:(?:foundation-model|inference-profile)/)?"
    r"(?:(?:us|eu|apac|jp|au|ca|in|sa)\.)?"
    r"(?:(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\.)?"
)
"""What may stand before a model's name. Not ``global.``, which has prices of its own, and no government's regions."""

_TAIL = re.compile(r"(?:-v\d+)?(?::\d+)?")
"""What may follow it. Not a size of the context (``:48k``), which is bought by the hour."""

_WHOSE = re.compile(r"(?:^|[./])(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\.")


def is_named(name: str, model: str) -> bool:
    """Whether ``name`` is a name on Bedrock of just the ``model``; both in lower case."""
    place = name.rfind(model)
    if place < 0 or not _WHOSE.search(name):
        return False
    return bool(_HEAD.fullmatch(name, 0, place) and _TAIL.fullmatch(name, place + len(model)))
