"""Signatures of requests to AWS (SigV4), made by botocore.

How: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. The credentials are found as every AWS tool
finds them: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html.
"""

import asyncio
import os
from collections.abc import Sequence

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from send2llm.domain.errors import AuthenticationFailed, ConfigurationError
from send2llm.infrastructure.providers.dialect import WireRequest

SIGNED = frozenset({b"host", b"content-type"})
"""Headers of a request that are signed, beside those that the signature adds: others may be changed on the way."""


class AwsSigner:
    """A ``Signer`` for one service in one region.

    It works in a thread: credentials may be fetched from a file, a program or the network, and hashing a large body
    takes its time, too.
    """

    def __init__(self, service: str, region: str, credentials: Credentials | None, session: Session) -> None:
        self._service = service
        self._region = region
        self._credentials = credentials
        self._session = session

    async def __call__(self, request: WireRequest) -> Sequence[tuple[bytes, bytes]]:
        """The further headers; raises ``AuthenticationFailed`` without credentials."""
        return await asyncio.to_thread(self._sign, request)

    def _sign(self, request: WireRequest) -> Sequence[tuple[bytes, bytes]]:
        try:
            self._credentials = self._credentials or self._session.get_credentials()
            if self._credentials is None:
                raise AuthenticationFailed(
                    "There are no AWS credentials: set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or name a profile in the options of the provider."
                )
            frozen = self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise AuthenticationFailed(f"The AWS credentials cannot be had: {error}") from error
        given = {name.decode(): value.decode("latin-1") for name, value in request.headers if name in SIGNED}
        signed = AWSRequest(request.method, str(request.url), headers=given, data=request.body)
        SigV4Auth(frozen, self._service, self._region).add_auth(signed)
        return [
            (name.lower().encode("ascii"), value.encode("ascii"))
            for name, value in signed.headers.items()
            if name not in given
        ]


def aws_signer(
    service: str, region: str, *, profile: str | None = None, key_variables: Sequence[str] = ()
) -> AwsSigner:
    """A signer with the usual credentials, those of a ``profile``, or those in the environment variables named.

    ``key_variables`` are the variables of the access key's id, of the secret key and, if there is one, of the session
    token; raises ``ConfigurationError`` if one of them is empty, and for a profile that is not there.
    """
    session = _session(profile)
    if not key_variables:
        return AwsSigner(service, region, None, session)
    if len(key_variables) == 1:
        raise ConfigurationError(f"An AWS key has two halves, and {key_variables[0]} holds only one of them.")
    keys = [os.environ.get(variable, "") for variable in key_variables]
    for variable, key in zip(key_variables, keys, strict=True):
        if not key:
            raise ConfigurationError(f"The environment variable {variable}, which shall hold an AWS key, is empty.")
    return AwsSigner(service, region, Credentials(*keys), session)


def aws_region(profile: str | None = None) -> str | None:
    """The region of the environment or of the profile, if there is one; raises ``ConfigurationError``."""
    try:
        region: str | None = _session(profile).get_config_variable("region")
    except BotoCoreError as error:
        raise ConfigurationError(f"The AWS configuration cannot be read: {error}") from error
    return os.environ.get("AWS_REGION") or region


def _session(profile: str | None) -> Session:
    session = Session(profile=profile)
    try:
        profiles = session.available_profiles
    except BotoCoreError as error:
        raise ConfigurationError(f"The AWS configuration cannot be read: {error}") from error
    if profile is not None and profile not in profiles:
        raise ConfigurationError(f"There is no AWS profile {profile!r}. Known: {', '.join(profiles) or 'none'}.")
    return session
