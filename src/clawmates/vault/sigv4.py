"""AWS Signature Version 4 for one POST request (AWS General Reference, "Signature Version 4 signing process"). Pure.

Forty lines instead of an SDK: botocore takes 31 MB of disk and 26 MiB of memory (measured, 1.44), and would be the
largest thing in the one process that holds all keys.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; ``token`` is set for temporary ones."""

    id: str
    secret: Secret[str]
    token: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature is good."""

    region: str
    service: str


def signed_headers(
    headers: Mapping[str, str], body: bytes, credentials: Credentials, scope: Scope, moment: datetime
) -> dict[str, str]:
    """``headers`` (lower-case names, ``host`` among them) with date, token and ``authorization``, for ``POST /``."""
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    signing = {**headers, "x-amz-date": stamp}
    if credentials.token:
        signing["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signing))
    canonical = "\n".join(
        (
            "POST",
            "/",
            "",
            *(f"{name}:{' '.join(signing[name].split())}" for name in sorted(signing)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    place = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join((_ALGORITHM, stamp, place, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret.reveal()}".encode()
    for part in (stamp[:8], scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = f"{_ALGORITHM} Credential={credentials.id}/{place}, SignedHeaders={names}, Signature={signature}"
    return {**signing, "authorization": authorization}
