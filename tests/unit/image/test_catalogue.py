from pathlib import Path

import pytest
from image.catalogue import load

from clawmates.base.shape import ShapeError
from clawmates.wire.names import ChannelKind

REAL = Path(__file__).resolve().parents[3] / "image" / "catalogue.toml"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = REAL.read_text()
    assert old in text
    path = tmp_path / "catalogue.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_real_one_says_where_messages_go_and_what_is_kept() -> None:
    known = load(REAL)
    hosts = {channel.kind: channel.hosts for channel in known.channels}
    assert hosts[ChannelKind.TELEGRAM] == ("api.telegram.org",)
    assert hosts[ChannelKind.TERMINAL] == ()
    (openai,) = (provider for provider in known.providers if provider.id == "openai")
    assert openai.hosts == ("api.openai.com",)
    assert openai.inference_region == "global"
    assert all(provider.keeps and provider.source.startswith("https://") for provider in known.providers)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('kind = "terminal"', 'kind = "telegram"', "stands twice"),
        ("output_tokens = 128_000", "output_tokens = 9_000_000", "does not fit"),
        ('kind = "terminal"', 'kind = "smoke-signals"', "expected one of"),
        ('name = "OpenAI"', 'name = "OpenAI"\nfree_base_address = true', "unknown key"),
        ('hosts = ["api.openai.com"]', 'hosts = ["https://api.openai.com/"]', "not a host name"),
        ('hosts = ["api.openai.com"]', "hosts = []", "needs a host"),
        ('name = "OpenAI"', "name = ", "not valid TOML"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    with pytest.raises(ShapeError, match=problem):
        load(changed(tmp_path, old, new))
