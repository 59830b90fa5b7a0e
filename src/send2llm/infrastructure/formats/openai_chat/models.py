"""What is known of OpenAI's models by their names, where a request depends on it.

https://developers.openai.com/api/docs/guides/reasoning and the pages of the models, read in November 2026. Those for
coding, for chat and the ``pro`` ones cannot be told to think less than ``low``, or nothing at all.
"""

import re

_SIZE_AND_DATE = r"(?:-mini|-nano)?(?:-\d{4}-\d\d-\d\d)?"
_LEAST_EFFORTS = (
    (re.compile(r"gpt-5" + _SIZE_AND_DATE), "minimal"),
    (re.compile(r"gpt-5\.[1245]" + _SIZE_AND_DATE), "none"),
)


def least_effort(model: str) -> str | None:
    """The reasoning effort of no thought; ``None`` for a model that has none, or is not known."""
    name = model.rpartition("/")[2]
    return next((effort for pattern, effort in _LEAST_EFFORTS if pattern.fullmatch(name)), None)
