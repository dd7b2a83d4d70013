"""A small release for tests that only choose from one."""

from __future__ import annotations

from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Channel, Image, Model, Provider, Release

_DIGEST = "sha256:" + "0" * 64


def _provider(name: str, host: str, *models: Model) -> Provider:
    return Provider(
        id=name,
        name={"openai": "OpenAI", "anthropic": "Anthropic", "ollama": "Ollama"}[name],
        hosts=(host,),
        models=models,
        inference_region="global",
        keeps=f"What {name} keeps.",
        source=f"https://{host}/kept",
        verified="2026-11-01",
    )


RELEASE = Release(
    format=1,
    number=1,
    image=Image(digest=_DIGEST, config=_DIGEST, archive="mate.oci.tar", size=1),
    channels=(Channel(kind=ChannelKind.TELEGRAM, hosts=("api.telegram.org",)), Channel(kind=ChannelKind.TERMINAL)),
    providers=(
        _provider(
            "openai",
            "api.openai.com",
            Model(id="m1", context_tokens=1000, output_tokens=100, temperature=False),
            Model(id="m2", context_tokens=2000, output_tokens=100),
        ),
        _provider("anthropic", "api.anthropic.com", Model(id="c1", context_tokens=1000, output_tokens=100)),
        _provider("ollama", "ollama", Model(id="l1", context_tokens=1000, output_tokens=100)),
    ),
)
