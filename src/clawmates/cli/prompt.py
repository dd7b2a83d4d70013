"""``clawmates bot prompt``: its owner reads and changes what the assistant is told to be."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.base.secret import Secret
from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import bots, layout
from clawmates.selfhost.install import vault_of
from clawmates.wire.names import ItemName
from clawmates.wire.vault import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from clawmates.base.paths import Run, State

WITHOUT_TRACES = {"vi": ("-n", "-i", "NONE"), "vim": ("-n", "-i", "NONE"), "nvim": ("-n", "-i", "NONE")}
"""No swap file, no list of registers: nothing of the text outside the one file in RAM."""


@click.command()
@click.argument("name")
@click.option("--edit", is_flag=True, help="Change it in $EDITOR; the file lies in RAM only.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Replace it by what comes on standard input.")
@state_option
@json_option
@answered
async def prompt(state: State, name: str, edit: bool, from_stdin: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show a bot's prompt, or replace it; a running bot follows within a second."""
    need_root()
    settings = settings_of(state)
    if edit and from_stdin:
        raise click.UsageError("give --edit or --stdin, not both")
    spec = bots.find(bots.read(state), name)
    async with vault_of(state, settings) as vault:
        text = Secret("")
        if not from_stdin and ItemName.PROMPT in spec.items:
            text = await bots.read_document(spec, ItemName.PROMPT, settings.platform.region, vault)
        if not edit and not from_stdin:
            succeed({"bot": name, "prompt": text.reveal()}, as_json=as_json, text=text.reveal() or "no prompt")
            return
        fresh = _given() if from_stdin else await _edited(text, settings.run)
        if edit and fresh.reveal() == text.reveal():
            succeed({"bot": name, "changed": False}, as_json=as_json, text=f"{name}: its prompt is as it was")
            return
        spec = await bots.replace_document(spec, ItemName.PROMPT, fresh, vault)
    bots.put(state, spec)
    succeed({"bot": name, "changed": True}, as_json=as_json, text=f"{name}: has a new prompt")


def _given() -> Secret[str]:
    return _text(sys.stdin.buffer.read(MAX_ITEM_BYTES + 1))


def _text(raw: bytes) -> Secret[str]:
    try:
        return Secret(raw.decode().strip())
    except UnicodeDecodeError:
        raise CommandError("that is not UTF-8 text.", code="bad-input", exit_code=Exit.USAGE) from None


async def _edited(text: Secret[str], run: Run) -> Secret[str]:
    """What the owner's editor left. Raises ``LayoutError`` where there is no RAM to put it in."""
    layout.ensure_tmpfs(run)
    folder = Path(tempfile.mkdtemp(prefix="edit-", dir=run.root))
    try:
        file = folder / "prompt.txt"
        file.touch(mode=0o600)
        file.write_text(text.reveal())
        command = shlex.split(os.environ.get("EDITOR") or "vi")
        command += WITHOUT_TRACES.get(Path(command[0]).name, ())
        editor = await asyncio.create_subprocess_exec(*command, str(file), env=os.environ | {"TMPDIR": str(folder)})
        if await editor.wait() != 0:
            raise CommandError("the editor did not end well; nothing was changed.", code="editor-failed")
        return _text(file.read_bytes())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
