"""The name of a key in AWS KMS, as the configuration gives it. Pure.

``aws-kms:arn:aws:kms:eu-central-1:111122223333:key/1234…?credentials=/etc/clawmates/aws`` and, where it is not the
public service, ``&endpoint=https://HOST:PORT`` (always TLS 1.3) and ``&authority=/FILE.pem``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from clawmates.vault.checks import StartError

SCHEME = "aws-kms:"
_ARN = re.compile(r"arn:aws(?:-[a-z]+)*:kms:([a-z]{2}(?:-[a-z]+)+-[0-9]):[0-9]{12}:key/[A-Za-z0-9-]{1,64}")
_ENDPOINT = re.compile(r"https://([a-z0-9.-]+)(?::([0-9]{1,5}))?")
_KNOWN = frozenset({"credentials", "endpoint", "authority"})


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsUri:
    """``arn`` names the key itself: an alias could be pointed at another."""

    arn: str
    region: str
    host: str
    port: int
    credentials: Path
    """An AWS shared credentials file, profile *default*."""
    authority: Path | None = None
    """PEM; ``None`` trusts the public roots."""


def parse(text: str) -> KmsUri:
    """Raises :class:`StartError`."""
    arn, _, query = text.removeprefix(SCHEME).partition("?")
    found = _ARN.fullmatch(arn)
    if found is None:
        raise StartError(_say("must be the ARN of a key: aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID"))
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name not in _KNOWN or name in options or not value:
            raise StartError(_say(f"knows {', '.join(sorted(_KNOWN))}, each once, and nothing else"))
        options[name] = value
    host, port = _endpoint(options.get("endpoint", f"https://kms.{found[1]}.amazonaws.com"))
    authority = options.get("authority")
    return KmsUri(
        arn=arn,
        region=found[1],
        host=host,
        port=port,
        credentials=_file("credentials", options.get("credentials", "")),
        authority=_file("authority", authority) if authority else None,
    )


def _endpoint(text: str) -> tuple[str, int]:
    found = _ENDPOINT.fullmatch(text)
    if found is None or ".." in found[1] or not 0 < int(found[2] or 443) <= 0xFFFF:
        raise StartError(_say("needs an endpoint of the form https://HOST or https://HOST:PORT"))
    return found[1], int(found[2] or 443)


def _file(name: str, value: str) -> Path:
    path = Path(value)
    if not path.is_absolute():
        raise StartError(_say(f"must name {name}= with an absolute path"))
    return path


def _say(what: str) -> str:
    return f"the aws-kms: master key {what}"
