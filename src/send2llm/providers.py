"""What a provider is written with. The built-in families use nothing else.

A family is a function from a ``ProviderConfig`` to a ``Provider``, named by an entry point in the group
``send2llm.providers``; the entry point's name is the ``format`` in the configuration.

- Over HTTP, write a ``Dialect``: it makes requests (``Endpoint``, ``WireRequest``) and reads replies and streams
  (``StreamReader``; ``EventSplitter`` splits server-sent events), and does no input or output.
  ``ProviderConfig.over_http`` makes the provider, which sends, waits, closes and maps errors. A dialect that has the
  methods of ``EmbeddingDialect`` or ``CountingDialect`` as well gives embeddings, or counts tokens; ``ErrorDialect``
  names error codes of its own, ``capabilities`` says what the format can carry.
- Over anything else, implement ``Provider``. Raise nothing but ``ProviderError``s: which one decides whether the call
  is tried again.

What the format has no word for is refused by name and never dropped: ``refuse_fields``, ``refuse_foreign_fields``,
``refuse_foreign_part``.
"""

from send2llm.application.ports import EmbeddingProvider, Provider, ProviderCall, TokenCountingProvider
from send2llm.domain.completion import (
    Answer,
    Completion,
    Delta,
    EmbeddingParameters,
    Parameters,
    ToolCallDelta,
    Usage,
    deltas_of,
)
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    ContentFiltered,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    ProviderTimedOut,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    StreamBroken,
    TransientProviderError,
)
from send2llm.domain.message import (
    ContentPart,
    EmbeddingPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.formats.foreign import (
    cannot_say,
    refuse_fields,
    refuse_foreign_fields,
    refuse_foreign_part,
    tools_for,
)
from send2llm.infrastructure.providers.capabilities import Capabilities
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.dialect import (
    CountingDialect,
    Dialect,
    EmbeddingDialect,
    Endpoint,
    ErrorDialect,
    Event,
    ReportedError,
    Signer,
    Splitter,
    StreamReader,
    WireRequest,
)
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.infrastructure.providers.openai_chat import OpenAIChatDialect, bearer
from send2llm.infrastructure.providers.sse import EventSplitter

__all__ = [
    "Answer",
    "AuthenticationFailed",
    "Capabilities",
    "Completion",
    "ConfigurationError",
    "ConnectionFailed",
    "ContentFiltered",
    "ContentPart",
    "ContextLengthExceeded",
    "CountingDialect",
    "Delta",
    "Dialect",
    "EmbeddingDialect",
    "EmbeddingParameters",
    "EmbeddingPart",
    "EmbeddingProvider",
    "Endpoint",
    "ErrorDialect",
    "Event",
    "EventSplitter",
    "ForeignPart",
    "HttpProvider",
    "ImagePart",
    "MalformedReply",
    "Message",
    "ModelNotAvailable",
    "OpenAIChatDialect",
    "Overloaded",
    "Parameters",
    "PermissionDenied",
    "Provider",
    "ProviderCall",
    "ProviderConfig",
    "ProviderError",
    "ProviderTimedOut",
    "QuotaExhausted",
    "RateLimited",
    "ReasoningPart",
    "RefusalPart",
    "ReportedError",
    "RequestRejected",
    "Signer",
    "Splitter",
    "StreamBroken",
    "StreamReader",
    "TextPart",
    "TokenCountingProvider",
    "ToolCallDelta",
    "ToolCallPart",
    "ToolResultPart",
    "TransientProviderError",
    "Usage",
    "WireRequest",
    "bearer",
    "cannot_say",
    "deltas_of",
    "refuse_fields",
    "refuse_foreign_fields",
    "refuse_foreign_part",
    "tools_for",
]
