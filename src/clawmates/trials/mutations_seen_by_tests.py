"""Defects that no claim can see from outside on one host, each with the test that sees it."""

from __future__ import annotations

from clawmates.trials.mutation import Change, Mutation

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
        id="peer-credentials-skipped",
        what="anybody may knock on a bot's door",
        changes=(
            Change(
                file="src/clawmates/gateway/door.py",
                old="        return self.spec.uid_first <= uid < self.spec.uid_first + self.spec.uid_count\n",
                new="        return uid >= 0\n",
            ),
        ),
        test="tests/unit/gateway/test_doors.py::TestPeers::test_stranger_is_closed_without_a_byte",
    ),
)
