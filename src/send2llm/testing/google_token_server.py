"""A fake of the place where Google gives access tokens to service accounts.

After https://developers.google.com/identity/protocols/oauth2/service-account: a signed assertion is posted, a token
comes back.
"""

from send2llm.testing.provider_server import Behaviour, FakeProviderServer, RecordedRequest, Reply

TOKEN_LIFE = 3600
"""Seconds."""


class FakeTokenServer(FakeProviderServer):
    """Gives ``token-1``, ``token-2`` and so on; the scripted behaviours come first."""

    def __init__(self, *behaviours: Behaviour) -> None:
        super().__init__(*behaviours)
        self.given = 0

    def at_once(self, request: RecordedRequest) -> Reply | None:
        """404 for other paths."""
        return None if request.path == "/token" else Reply(b"", 404)

    def usual(self, request: RecordedRequest) -> Behaviour:
        """The next token, for an assertion."""
        if b"assertion=" not in request.body:
            return Reply.json({"error": "invalid_request"}, 400)
        self.given += 1
        return Reply.json({"access_token": f"token-{self.given}", "expires_in": TOKEN_LIFE, "token_type": "Bearer"})
