"""Access tokens of Google Cloud, by the library ``google-auth`` (the extra ``vertex``).

https://cloud.google.com/docs/authentication/application-default-credentials
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import google.auth
import httpx2
from google.auth.credentials import Credentials, TokenState
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport import Request, Response
from google.oauth2 import service_account

from send2llm.domain.errors import AuthenticationFailed, ConnectionFailed, ProviderError
from send2llm.infrastructure.providers.dialect import WireRequest

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

TIMEOUT = 30.0
"""Seconds for a new token, where the library names no other time."""


class GoogleSigner:
    """Gives the headers with a token, of a service account's ``key`` or else of the application default credentials.

    Tokens last an hour. A new one is fetched in a thread some minutes before, while other calls go on with the old one.
    Raises ``ValueError`` for a key that is not whole.
    """

    def __init__(self, key: Mapping[str, Any]) -> None:
        self._credentials: Credentials | None = None
        if key:
            found = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call] # has no types
                key, scopes=SCOPES
            )
            self._credentials = found
        self._refreshing = asyncio.Lock()

    async def __call__(self, request: WireRequest) -> Sequence[tuple[bytes, bytes]]:  # noqa: ARG002 - of no interest
        """``authorization``, and the project that pays where the credentials name one."""
        credentials = self._credentials
        state = TokenState.INVALID if credentials is None else credentials.token_state
        if credentials is None or state is TokenState.INVALID:
            credentials = await self._refreshed()
        elif state is TokenState.STALE and not self._refreshing.locked():
            with suppress(ProviderError):  # the old token is still good
                await self._refreshed()
        headers = [(b"authorization", f"Bearer {credentials.token}".encode("ascii"))]
        if credentials.quota_project_id:
            headers.append((b"x-goog-user-project", credentials.quota_project_id.encode("ascii")))
        return headers

    async def _refreshed(self) -> Credentials:
        async with self._refreshing:
            if self._credentials is not None and self._credentials.token_state is TokenState.FRESH:
                return self._credentials  # somebody else's call has brought it
            try:
                self._credentials = await asyncio.to_thread(_with_new_token, self._credentials)
            except GoogleAuthError as error:
                raise _failed(error) from error
            return self._credentials


def _with_new_token(credentials: Credentials | None) -> Credentials:
    """The credentials, looked for where there are none yet; blocks."""
    if credentials is None:
        credentials, _ = google.auth.default(scopes=SCOPES)
    with httpx2.Client() as client:
        credentials.refresh(_Request(client))  # type: ignore[no-untyped-call] # has no types
    return credentials


def _failed(error: GoogleAuthError) -> ProviderError:
    if isinstance(error, DefaultCredentialsError):
        return AuthenticationFailed(
            "There are no Google Cloud credentials here: run `gcloud auth application-default login`, set "
            "GOOGLE_APPLICATION_CREDENTIALS, or set the option credentials_file or an api_key."
        )
    if isinstance(error, TransportError) or error.retryable:
        lost = ConnectionFailed(f"Google gave no access token ({type(error).__name__}); check the network.")
        lost.may_be_charged = False  # nobody was asked yet
        return lost
    return AuthenticationFailed(
        f"Google gave no access token ({type(error).__name__}): check whether the credentials are still good."
    )


class _Request(Request):
    """How the library sends its requests."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Response:
        try:
            reply = self._client.request(method, url, content=body, headers=headers, timeout=timeout or TIMEOUT)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise TransportError(error) from error  # type: ignore[no-untyped-call] # has no types
        return _Response(reply)


class _Response(Response):
    """What comes back."""

    def __init__(self, reply: httpx2.Response) -> None:
        self._reply = reply

    @property
    def status(self) -> int:
        return self._reply.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers

    @property
    def data(self) -> bytes:
        return self._reply.content
