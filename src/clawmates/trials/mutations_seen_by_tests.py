"""Defects that no claim can see from outside on one host, each with the test that sees it."""

from __future__ import annotations

from clawmates.trials.mutation import Change, Mutation
from clawmates.trials.mutations_isolation import UNENFORCED

MUTATIONS = (
    Mutation(
        id="link-previews",
        what="Telegram fetches the links in replies, so that an injected link leaks without a click",
        changes=(
            Change(
                file="src/clawmates/mate/channels/telegram/outbox.py",
                old='_OPTIONS = {"link_preview_options": {"is_disabled": True}}',
                new='_OPTIONS = {"link_preview_options": {"is_disabled": False}}',
            ),
        ),
        test="tests/unit/mate/test_telegram_reply.py::test_a_short_answer_is_typing_and_a_message",
    ),
    Mutation(
        id="provider-stores",
        what="the provider is asked to store the reply",
        changes=(Change(file="src/clawmates/mate/providers/openai.py", old='"store": False,', new='"store": True,'),),
        test="tests/unit/mate/test_providers.py::test_openai_request",
    ),
    Mutation(
        id="read-back-ignored",
        what="a container that is weaker than asked is kept",
        changes=UNENFORCED,
        test="tests/unit/node/test_keeper.py::test_a_weak_container_is_killed_shown_and_given_nothing",
    ),
    Mutation(
        id="resolve-before-the-list",
        what="a name that is not listed is looked up before it is refused",
        changes=(
            Change(
                file="src/clawmates/gateway/door.py",
                old="            target = decide(request.target, self.spec.hosts)\n",
                new='            name = request.target.partition(":")[0]\n'
                "            if name not in self.spec.hosts:\n"
                "                await self._outside.resolver.lookup(name)\n"
                "            target = decide(request.target, self.spec.hosts)\n",
            ),
        ),
        test="tests/unit/gateway/test_tunnel.py::TestRefusedBeforeAnything::test_unlisted_host_costs_no_lookup",
    ),
    Mutation(
        id="key-log-honoured",
        what="SSLKEYLOGFILE in the environment is obeyed",
        changes=(
            Change(
                file="src/clawmates/base/tls.py",
                old="    context.check_hostname = check_hostname\n",
                new="    context.check_hostname = check_hostname\n"
                '    if log := __import__("os").environ.get("SSLKEYLOGFILE"):\n'
                "        context.keylog_filename = log\n",
            ),
        ),
        test="tests/unit/base/test_tls.py::test_the_key_log_of_the_environment_is_not_read",
    ),
    Mutation(
        id="credential-to-another-host",
        what="a key goes to whichever host is asked for",
        changes=(
            Change(
                file="src/clawmates/mate/credentials.py",
                old="        if host not in item.hosts:\n",
                new="        if not host:\n",
            ),
        ),
        test="tests/unit/mate/test_credentials.py::test_and_to_no_other",
    ),
    Mutation(
        id="memory-unlocked",
        what="the vault's memory may be swapped out",
        changes=(
            Change(
                file="src/clawmates/vault/checks.py",
                old="    locked = may_lock(status.read_text()) and lock_memory()\n    if not locked and has_swap",
                new="    locked = False\n    if locked and has_swap",
            ),
        ),
        test="tests/unit/vault/test_start.py::test_memory_is_locked_or_nothing_swaps",
    ),
    Mutation(
        id="release-unsigned",
        what="a release is believed without its signature",
        changes=(
            Change(
                file="src/clawmates/wire/releases.py",
                old="    _check_signature(public_key, document, signature)\n",
                new="",
            ),
        ),
        test="tests/unit/node/test_release.py::test_one_changed_byte_is_refused",
    ),
    Mutation(
        id="shell-in-the-image",
        what="the image has a program called sh",
        changes=(
            Change(
                file="image/rootfs.py",
                old='    "usr/bin/python3": "python3.11",\n',
                new='    "usr/bin/python3": "python3.11",\n    "usr/bin/sh": "python3.11",\n',
            ),
        ),
        test="tests/integration/test_image.py::test_nothing_in_it_but_python_libraries_and_certificates",
    ),
    Mutation(
        id="secret-prints",
        what="a credential shows itself in text",
        changes=(
            Change(
                file="src/clawmates/base/secret.py",
                old='    def __repr__(self) -> str:\n        return "***"\n',
                new="    def __repr__(self) -> str:\n        return str(self._value)\n",
            ),
        ),
        test="tests/unit/base/test_secret.py::test_it_does_not_print",
    ),
    Mutation(
        id="keys-in-the-backup",
        what="a backup takes keys.db along, so that destructions can be undone with it",
        changes=(
            Change(
                file="src/clawmates/selfhost/backup.py",
                old="KNOWN = NEEDED | HOSTED | {DESIRED, HEADS, REVOKED}",
                new='KNOWN = NEEDED | HOSTED | {DESIRED, HEADS, REVOKED, "vault/keys.db"}',
            ),
        ),
        test="tests/unit/selfhost/test_backup.py::test_no_other_file_gets_in_or_out",
    ),
    Mutation(
        id="backup-key-kept",
        what="the key of what backups hold of a person outlives their account",
        changes=(
            Change(
                file="src/clawmates/vault/destruction.py",
                old='            connection.execute("DELETE FROM backup_keys WHERE tenant = ?", (target.name,))\n',
                new="",
            ),
        ),
        test="tests/unit/control/test_backups.py::test_nothing_of_who_was_deleted_is_readable_in_an_older_backup",
    ),
    Mutation(
        id="leaving-in-the-backup",
        what="a backup makes a new key for somebody who is being deleted",
        changes=(
            Change(
                file="src/clawmates/control/backups/taking.py",
                old="await _keys(context, staying, make=False)",
                new="await _keys(context, [*staying, *living], make=True)",
            ),
        ),
        test="tests/unit/control/test_backups.py::test_who_leaves_while_one_is_made_is_not_in_it",
    ),
    Mutation(
        id="renamed-backup-kept",
        what="a backup that was copied counts as young",
        changes=(
            Change(
                file="src/clawmates/wire/backupfile.py",
                old="if told and min(told) <= before:",
                new="if told and max(told) <= before:",
            ),
        ),
        test="tests/unit/control/test_backups_end.py::test_the_older_of_what_it_says_and_when_it_was_written_counts",
    ),
    Mutation(
        id="redirects-followed",
        what="the mate goes where a redirect points",
        changes=(
            Change(
                file="src/clawmates/mate/web.py",
                old="            return await fresh.request(method, target, headers=headers, body=body)\n",
                new="            response = await fresh.request(method, target, headers=headers, body=body)\n"
                "            if response.status == 307 and len(target) < 100:\n"
                '                _, _, place = response.headers[b"location"].decode().rpartition("//")\n'
                '                to, _, path = place.partition("/")\n'
                '                return await self._send(method, to or host, "/" + path + "#" * 100, headers, body)\n'
                "            return response\n",
            ),
        ),
        test="tests/unit/mate/test_redirects.py::test_no_redirect_is_followed",
    ),
    Mutation(
        id="any-heir-is-believed",
        what="a bot hands its conversation to whoever asks for it at the door",
        changes=(
            Change(
                file="src/clawmates/mate/handover/giving.py",
                old="if kin is None or not believes(kin, bot, life, heir.claim):",
                new="if kin is None or (bot, life) == ():",
            ),
        ),
        test="tests/unit/mate/test_handover.py::test_a_gateway_in_the_middle_gets_nothing",
    ),
    Mutation(
        id="any-context-is-believed",
        what="a replaced bot takes a conversation from anybody",
        changes=(
            Change(
                file="src/clawmates/mate/handover/succeeding.py",
                old="    sealed = checked(kin, info, data)\n",
                new="    sealed = data[32:] if kin else None\n",
            ),
        ),
        test="tests/unit/mate/test_handover.py::test_a_forged_context_is_not_believed",
    ),
    Mutation(
        id="two-lives-speak",
        what="the next life of a bot begins to poll while the one before it lives",
        changes=(
            Change(
                file="src/clawmates/node/steps.py",
                old="vault=self.vault_name, predecessor=predecessor)",
                new="vault=self.vault_name, predecessor=0)",
            ),
        ),
        test="tests/unit/node/test_succession.py::test_the_next_life_stands_beside_the_first_and_follows_it",
    ),
)
