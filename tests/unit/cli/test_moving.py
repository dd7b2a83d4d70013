"""``clawmates import`` and ``export`` between two programs, where no platform is needed."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from clawmates.cli.main import clawmates
from clawmates.selfhost import arriving
from clawmates.trials.interop import THEIRS
from clawmates.wire.desired import Access

CANARIES = ("AAaCanary", "sk-ant-canary", "gloomy")


def run(*words: str, **options: Any) -> Result:
    return CliRunner().invoke(clawmates, list(words), **options)


def test_a_look_at_a_configuration_says_all_that_is_lost_and_no_value() -> None:
    done = run("import", str(THEIRS / "openclaw.json"), "--check")
    assert done.exit_code == 0
    assert "· marvin: telegram, anthropic claude-sonnet-5-5" in done.stdout
    assert "in the clear there, and left out: channel-token, provider-key" in done.stdout
    assert "not taken over: channels.discord: " in done.stdout
    as_json = json.loads(run("import", str(THEIRS), "--check", "--bot", "marvin", "--json").stdout)["data"]
    assert (as_json["bots"], as_json["made"]) == (["marvin"], False)
    assert as_json["loose"] == {"marvin": ["channel-token", "provider-key"]}
    assert not any(canary in done.output + json.dumps(as_json) for canary in CANARIES)


def an_export(tmp_path: Path) -> Path:
    bots = {"id": "home", "tenant": "self", "channel": "telegram", "provider": "openai", "model": "m", "items": {}}
    rest = {"limits": {"messages_per_day": 5}, "access": "open", "paused": True}
    export = tmp_path / "ours.zip"
    with ZipFile(export, "w") as package:
        package.writestr("about.json", '{"format": 1}')
        package.writestr("selfhost-bots.json", json.dumps({"bots": [bots | rest]}))
    return export


def test_a_zip_for_them_is_made_of_an_export_and_read_again(tmp_path: Path) -> None:
    out = tmp_path / "theirs.zip"
    words = ["export", "--from", str(an_export(tmp_path)), "--out", str(out)]
    assert run(*words, "--json").exit_code == 2, "an export of ours is one already"
    made = json.loads(run(*words, "--format", "openclaw", "--json").stdout)["data"]
    assert (made["bots"], out.stat().st_mode & 0o777) == (["home"], 0o600)
    assert [one["where"] for one in made["lost"]] == ["home"]
    (bot,) = arriving.read(out).bots
    assert (bot.name, bot.access, bot.paused, bot.limits) == ("home", Access.OPEN, True, {})


def test_a_disk_without_room_leaves_no_half_of_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    words = ["export", "--from", str(an_export(tmp_path)), "--format", "openclaw", "--out", str(tmp_path / "a.zip")]
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        done = run(*words, "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (1, "input-output")
    assert [one.name for one in tmp_path.iterdir()] == ["ours.zip"]
    assert run(*words, "--json").exit_code == 0, "and nothing stands in the way of the next try"


def test_a_hosted_platform_takes_no_bots_from_a_command(tmp_path: Path) -> None:
    (tmp_path / "clawmates.toml").write_text('[platform]\nmode = "hosted"\n')
    done = run("import", str(THEIRS), "--state", str(tmp_path), "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (2, "hosted")


@pytest.mark.parametrize("given", ["nothing", "[]", '{"home": 7}', '{"home": {"token": "AAaCanary"}}'])
def test_what_is_no_table_of_secrets_is_a_sentence(given: str) -> None:
    done = run("import", str(THEIRS), "--stdin", "--json", input=given)
    assert done.exit_code == 2
    assert "by the bots' names" in json.loads(done.stdout)["error"]["message"]
    assert "AAaCanary" not in done.output
