"""What the pages for people say exists: commands, options, make targets, codes, files they point to."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import click
import pytest

from clawmates.cli.lazy import inner
from clawmates.cli.main import clawmates

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    *("self-hosting.md", "leaving.md", "operating.md", "backup.md"),
    *("verify.md", "proofs.md", "threat-model.md", "vault.md"),
)
PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in NAMES)]
COMMAND = re.compile(r"(?<![\w/.-])(?:\.venv/bin/)?clawmates((?: [a-z][a-z-]*)+)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {path: group}
    for name, below in inner(group, click.Context(group)):
        if isinstance(below, click.Group):
            found |= commands(below, (*path, name))
        else:
            found[(*path, name)] = below
    return found


COMMANDS = commands(clawmates)
OPTIONS = {option for one in COMMANDS.values() for parameter in one.params for option in parameter.opts}


def code(page: Path) -> str:
    """Only what stands in code: between backticks, or in a block."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    for words in COMMAND.findall(code(page)):
        path: tuple[str, ...] = ()
        for word in words.split():
            if isinstance(COMMANDS[path], click.Group):
                assert (*path, word) in COMMANDS, f"clawmates{words}"
                path = (*path, word)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_and_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = code(page)
    for line in text.splitlines():
        if COMMAND.search(line) or line.startswith("`--"):
            strangers = {"--help"} | ({"--now"} if "systemctl" in line else set())
            assert set(OPTION.findall(line)) - strangers <= OPTIONS, line
    assert set(re.findall(r"\bmake ([a-z]+)", text)) <= targets


ALL = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INSIDE = re.compile(r"`((?:src|tests|docs|image|scripts|deploy|requirements)/[\w./-]+)")


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.stem)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    for path in INSIDE.findall(page.read_text()):
        assert (ROOT / path).exists(), path


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [int(page.name[:4]) for page in ALL if page.parent.name == "adr"]
    assert len(set(numbers)) == len(numbers)
    for page in (ROOT / "docs" / "adr").glob("*.md"):
        assert page.read_text().startswith(f"# {int(page.name[:4])}. "), page.name


def test_the_arrow_of_the_rooms_is_the_contract_and_every_room_has_a_line() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = contracts[0]["layers"]
    assert " → ".join(layers).replace("|", "│") in page
    for room in re.findall(r"\w+", " ".join(layers)):
        assert f"\n| `{room}` | " in page, room


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.stem)
def test_every_file_that_a_page_points_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_table_of_codes_is_the_list_of_codes() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    assert runpy.run_path(str(ROOT / "scripts" / "codes"))["with_table"](page) == page, (
        "run .venv/bin/python scripts/codes"
    )
    assert page.count("\n| `bad-token` |") == 1
