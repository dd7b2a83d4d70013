"""Commands are imported when they are called: each alone finds all of itself, and nothing of the others."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from clawmates.cli.lazy import inner
from clawmates.cli.main import PLACES, clawmates

ALONE = """
import json, os, sys
import click
from clawmates.cli.lazy import inner
from clawmates.cli.main import clawmates

def words(command):
    below = inner(command, click.Context(command)) if isinstance(command, click.Group) else ()
    return {word: words(one) for word, one in below}

# What commands stand on is imported once, for all: only their own modules are taken away again, and come back alone.
words(clawmates)
for place in sys.argv[1:]:
    if os.fork() == 0:
        for module in [name for name in sys.modules if name.startswith("clawmates.cli")]:
            del sys.modules[module]
        from clawmates.cli.lazy import inner
        from clawmates.cli.main import clawmates
        print(json.dumps([place, words(clawmates.get_command(click.Context(clawmates), place))]), flush=True)
        os._exit(0)
    os.wait()
"""
Words = dict[str, "Words"]


def words(command: click.Command) -> Words:
    below = inner(command, click.Context(command)) if isinstance(command, click.Group) else ()
    return {word: words(one) for word, one in below}


def run(program: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-I", "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_a_command_has_all_of_its_words_where_no_other_was_imported() -> None:
    alone = dict(json.loads(line) for line in run(ALONE, *PLACES, "selfhost").splitlines())
    assert alone == words(clawmates)
    assert alone["vault"].keys() == {"status", "unfreeze", "keys", "rotate", "destroy", "receipt-key"}


@pytest.mark.parametrize(
    ("module", "needed", "not_needed"),
    [
        ("main", "click", {"asyncio", "h11", "ssl"}),
        ("status", "clawmates.selfhost.overview", {"clawmates.proofs.prove", "clawmates.vault.store", "segno"}),
    ],
)
def test_no_command_pays_for_what_another_needs(module: str, needed: str, not_needed: set[str]) -> None:
    loaded = set(run(f"import sys, clawmates.cli.main, clawmates.cli.{module}; print(*sys.modules)").split())
    assert needed in loaded
    assert not loaded & not_needed
