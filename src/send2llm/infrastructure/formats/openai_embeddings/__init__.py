"""OpenAI's embeddings: the wire format of ``POST /v1/embeddings``, as callers have it."""
