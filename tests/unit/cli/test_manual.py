from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

from clawmates.cli.lazy import inner
from clawmates.cli.main import clawmates
from clawmates.cli.manual import pages

PAGES = dict(pages(clawmates))


def commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        for word, below in inner(command, click.Context(command)):
            found += commands(below, f"{path} {word}") if not below.hidden else []
    return found


ALL = commands(clawmates, "clawmates")


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_says_what_it_does_and_so_does_every_option(path: str, command: click.Command) -> None:
    assert command.help, path
    assert path.replace(" ", "-") in PAGES
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, (path, parameter.name)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_groff_has_nothing_to_complain_about(name: str, tmp_path: Path) -> None:
    (tmp_path / "page.1").write_text(PAGES[name])
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", str(tmp_path / "page.1")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_page_tells_files_and_exit_codes() -> None:
    page = PAGES["clawmates"]
    assert "/var/lib/clawmates/clawmates.toml" in page
    assert ".SH EXIT STATUS" in page
