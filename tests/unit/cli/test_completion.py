from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from clawmates.cli.completion import VARIABLE
from clawmates.cli.main import clawmates

CHECKS = {"bash": ("bash", "-n"), "zsh": ("zsh", "-n"), "fish": ("fish", "--no-execute")}


def completed(*words: str, start: str = "") -> list[str]:
    found = ShellComplete(clawmates, {}, "clawmates", VARIABLE).get_completions(list(words), start)
    return [one.value for one in found]


@pytest.mark.parametrize("shell", sorted(CHECKS))
def test_each_shell_gets_a_script_that_asks_this_program(shell: str) -> None:
    done = CliRunner().invoke(clawmates, ["completion", shell])
    assert done.exit_code == 0
    assert VARIABLE in done.stdout
    if shutil.which(shell):
        checked = subprocess.run(CHECKS[shell], input=done.stdout, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_commands_options_and_choices_are_completed() -> None:
    assert "selfhost" in completed(start="self")
    assert "--fallback" in completed("bot", "add", start="--fall")
    assert completed("bot", "add", "--channel", start="te") == ["telegram", "terminal"]
    assert completed("export", "--format", start="open") == ["openclaw"]
    assert "manual" not in completed()


def test_bash_completes_in_earnest() -> None:
    script = CliRunner().invoke(clawmates, ["completion", "bash"]).stdout
    environment = os.environ | {"COMP_WORDS": "clawmates bot ", "COMP_CWORD": "2", VARIABLE: "bash_complete"}
    done = CliRunner().invoke(clawmates, [], prog_name="clawmates", env=environment)
    assert "plain,pause" in done.stdout.splitlines()
    assert "complete" in script
