"""A release: which images may run and which providers exist, signed by an offline key.

``release.json`` holds the bytes of :class:`Release`; ``release.sig`` the Base64 Ed25519 signature (RFC 8032)
over ``SIGNED_PREFIX`` and those very bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clawmates.wire.names import ChannelKind, check_host

SIGNED_PREFIX = b"clawmates release v1\0"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One container image."""

    digest: str
    """Of the OCI manifest: what a registry calls it."""
    config: str
    """Of the OCI image configuration: what an engine calls it."""
    archive: str
    """File name of the OCI archive beside ``release.json``."""
    size: int
    """Bytes of all layers, uncompressed."""
    unpinned: tuple[str, ...] = ()
    """Packages that could not be had in the pinned version."""

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest) or not _DIGEST.fullmatch(self.config):
            raise ValueError("a digest is sha256: and 64 hex digits")
        if "/" in self.archive or self.archive.startswith("."):
            raise ValueError("an archive is a plain file name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sbom:
    """The list of what the image is made of (CycloneDX 1.6, JSON)."""

    file: str
    """File name beside ``release.json``."""
    digest: str
    """``sha256:…`` of that file."""

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError("a digest is sha256: and 64 hex digits")
        if "/" in self.file or self.file.startswith("."):
            raise ValueError("a list is a plain file name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One messenger and the hosts that it lives on."""

    kind: ChannelKind
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for host in self.hosts:
            check_host(host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of a provider."""

    id: str
    context_tokens: int
    output_tokens: int
    temperature: bool = True
    """Whether it takes a temperature; many that reason refuse a request with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One AI provider: where it is, what it offers, what it keeps."""

    id: str
    name: str
    hosts: tuple[str, ...]
    models: tuple[Model, ...]
    inference_region: str
    keeps: str
    """What the provider keeps of a request, in one sentence."""
    source: str
    """The page that says so."""
    verified: str
    """The day that page was last read, ISO 8601."""
    keeps_de: str = ""
    """The same sentence as :attr:`keeps`, in German."""

    def __post_init__(self) -> None:
        for host in self.hosts:
            check_host(host)

    def kept(self, language: str) -> str:
        """What it keeps, in the reader's language where that is known."""
        return (self.keeps_de if language == "de" else "") or self.keeps

    def model(self, name: str) -> Model | None:
        """The model of that name."""
        return next((model for model in self.models if model.id == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What may run, and what it may talk to."""

    format: int
    number: int
    image: Image
    channels: tuple[Channel, ...]
    providers: tuple[Provider, ...]
    sbom: Sbom | None = None

    def provider(self, name: str) -> Provider | None:
        """The provider of that id."""
        return next((provider for provider in self.providers if provider.id == name), None)

    def channel(self, kind: ChannelKind) -> Channel | None:
        """The channel of that kind."""
        return next((channel for channel in self.channels if channel.kind is kind), None)
