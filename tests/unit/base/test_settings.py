from __future__ import annotations

from pathlib import Path

import pytest

from clawmates.base.settings import Settings, SettingsError, address, load, proxies, vault_address
from clawmates.selfhost.install import to_toml


def written(folder: Path, text: str) -> Path:
    path = folder / "clawmates.toml"
    path.write_text(text)
    return path


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    settings = load(written(tmp_path, ""))
    assert settings == Settings()
    assert settings.vault.listen == "127.0.0.1:7441"
    assert settings.unsafe == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[platfrom]\n", "unknown key 'platfrom'"),
        ("[node]\nmemory_mib = '128'\n", "node.memory_mib: expected a whole number"),
        ("[platform]\nmode = 'cloud'\n", "expected one of: self-host, hosted"),
        ("[node\n", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as error:
        load(written(tmp_path, text))
    assert "clawmates.toml" in str(error.value)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "nothing.toml")


def test_every_unsafe_switch_is_told(tmp_path: Path) -> None:
    sections: dict[str, dict[str, object]] = {
        "platform": {"unsafe_clock_offset": 1.0},
        "gateway": {"unsafe_resolve": {"a.example": "127.0.0.1:1"}},
        "node": {"unsafe_extra_ca": "ca.pem"},
    }
    settings = load(written(tmp_path, to_toml(sections)))
    assert len(settings.unsafe) == 3
    assert all(".unsafe_" in name for name in settings.unsafe)
    assert settings.gateway.unsafe_resolve == {"a.example": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("listen", "parsed"),
    [("127.0.0.1:7441", ("127.0.0.1", 7441)), ("[::1]:0", ("::1", 0)), ("localhost:1", ("localhost", 1))],
)
def test_addresses(listen: str, parsed: tuple[str, int]) -> None:
    assert address(listen) == parsed


@pytest.mark.parametrize("listen", ["7441", "host:", "host:port", "host:70000", ""])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(SettingsError, match="not HOST:PORT"):
        address(listen)


def test_port_0_is_looked_up_and_a_missing_answer_is_a_sentence(tmp_path: Path) -> None:
    settings = load(
        written(tmp_path, to_toml({"platform": {"run": str(tmp_path)}, "vault": {"listen": "127.0.0.1:0"}}))
    )
    with pytest.raises(SettingsError, match=r"ports\.json"):
        vault_address(settings)
    (tmp_path / "ports.json").write_text('{"vault": 4711}')
    assert vault_address(settings) == ("127.0.0.1", 4711)


def test_whom_control_believes(tmp_path: Path) -> None:
    text = '[control]\nproxies = ["127.0.0.1", "10.0.0.0/24"]\n[gateway]\ncontrol = "127.0.0.1:8443"\n'
    assert [str(one) for one in proxies(load(written(tmp_path, text)))] == ["127.0.0.1/32", "10.0.0.0/24"]
    assert proxies(load(written(tmp_path, '[gateway]\ncontrol = "10.0.0.7:8443"\n'))) == ()
    with pytest.raises(SettingsError, match=r"IP address, or a network"):
        proxies(load(written(tmp_path, '[control]\nproxies = ["relay.example"]\n')))
    with pytest.raises(SettingsError, match=r"set \[control\] proxies = "):
        proxies(load(written(tmp_path, '[gateway]\ncontrol = "127.0.0.1:8443"\n')))
