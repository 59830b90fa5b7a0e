"""Checks signatures of requests to AWS, as its services do.

Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

import hmac
import re
from hashlib import sha256
from urllib.parse import quote

from send2llm.testing.provider_server import RecordedRequest

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request, "
    r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})"
)


def is_signed(request: RecordedRequest, key_id: str, secret: str, service: str = "bedrock") -> bool:
    """Whether the request bears the right signature of that key."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return False
    whose, day, region, what, signed, signature = found.groups()
    names = signed.split(";")
    if whose != key_id or what != service or not {"host", "x-amz-date"} <= set(names):
        return False
    canonical = "\n".join(
        [
            request.method,
            quote(request.raw_path.decode(), safe="/-_.~"),
            request.query,
            *(f"{name}:{request.headers.get(name, '')}" for name in names),
            "",
            signed,
            sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    moment = request.headers["x-amz-date"]
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for word in (day, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature)
