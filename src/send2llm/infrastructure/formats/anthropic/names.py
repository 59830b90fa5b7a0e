"""What Anthropic's format calls things."""

FORMAT = "anthropic"
"""The name of this wire format in the domain."""

VERSION_FIELD = "anthropic-version"
"""Where the version of the API that the caller speaks stands among the parameters' extras; a header on the wire."""

BETA_FIELD = "anthropic-beta"
"""The same for the beta features that the caller asks for."""

BILLING_FIELD = "x-anthropic-billing-header"
"""Among the parameters' extras: a block that coding agents put before their instructions for Anthropic's accounts.

It differs in every request, and says nothing to the model.
"""

REPLY = "reply"
"""Among a message's extras: what only a reply has (how it stopped, its container); no request may have it."""

REDACTED = "redacted_thinking"
"""The type of a thought that is only ciphertext; it stays among the extras to tell it from an empty thought."""
