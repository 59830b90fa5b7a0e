"""What message handlers are written with; ``docs/handlers.md`` shows how.

``Handler`` is the contract, and ``send2llm.application.handlers`` explains it. ``HandlerOptions`` reads the options
that the configuration has for a handler. A package offers its handlers under the entry point group
``send2llm.handlers``: each name leads to a callable that takes the options, a mapping, and gives a handler. The
built-in ones are found in the same way.
"""

from send2llm.application.field_paths import FieldPaths
from send2llm.application.handlers import Exchange, Handler, MakeRewriter, Rewriter, TextKind
from send2llm.application.outgoing import Outgoing
from send2llm.application.send_command import SendMessage
from send2llm.domain.conversation_events import ContextShortened, Stretch
from send2llm.domain.errors import ConfigurationError, InvalidRequest, SensitiveData
from send2llm.domain.message import (
    ContentPart,
    ForeignPart,
    ImagePart,
    JsonObject,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.handlers.options import HandlerOptions

__all__ = [
    "ConfigurationError",
    "ContentPart",
    "ContextShortened",
    "Exchange",
    "FieldPaths",
    "ForeignPart",
    "Handler",
    "HandlerOptions",
    "ImagePart",
    "InvalidRequest",
    "JsonObject",
    "MakeRewriter",
    "Message",
    "Outgoing",
    "ReasoningPart",
    "RefusalPart",
    "Rewriter",
    "Role",
    "SendMessage",
    "SensitiveData",
    "Stretch",
    "TextKind",
    "TextPart",
    "ToolCallPart",
    "ToolResultPart",
]
