"""Defects of ends and deletions: each must turn claim *retention* red, and no other."""

from __future__ import annotations

from clawmates.proofs.result import Claim
from clawmates.trials.mutation import Change, Mutation

_RULES = "src/clawmates/control/retention/rules.py"
_STEPS = "src/clawmates/control/erasure/steps.py"
_SCRUB = "src/clawmates/control/store/scrub.py"

MUTATIONS = (
    Mutation(
        id="counts-a-day-longer",
        what="message counts are kept for 91 days",
        changes=(
            Change(
                file=_RULES,
                old="    return Bound(before.astimezone(UTC).date(), inclusive=False)",
                new="    return Bound((before - DAY).astimezone(UTC).date(), inclusive=False)",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="counts-by-local-day",
        what="days of counts end when it is midnight in Los Angeles",
        changes=(
            Change(
                file=_RULES,
                old="    return Bound(before.astimezone(UTC).date(), inclusive=False)",
                new="    return Bound((before - timedelta(hours=8)).astimezone(UTC).date(), inclusive=False)",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="counts-a-day-too-short",
        what="the last day of the window is taken away with the one before it",
        changes=(
            Change(
                file=_RULES,
                old="    return Bound(before.astimezone(UTC).date(), inclusive=False)",
                new="    return Bound(before.astimezone(UTC).date(), inclusive=True)",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="errors-a-day-longer",
        what="error codes are kept for 31 days, though the page says 30",
        changes=(
            Change(
                file=_RULES,
                old="    before = now - rule.after\n",
                new='    before = now - rule.after - (DAY if rule.table == "bot_errors" else timedelta())\n',
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="cancelled-and-kept",
        what="what a cancelled bot was configured with is destroyed two days too late",
        changes=(
            Change(
                file="src/clawmates/control/cancelling/subscription.py",
                old=".where(over(rule, now + HEADSTART), ",
                new=".where(over(rule, now - HEADSTART), ",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="log-a-week-longer",
        what="files of the event log are there a week longer than thirty days",
        changes=(
            Change(
                file="src/clawmates/base/eventlog.py",
                old="    if day is not None and day < oldest:\n",
                new="    if day is not None and day < oldest - timedelta(days=7):\n",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="secure-delete-off",
        what="what the jobs take away stays in free space of SQLite's file",
        changes=(
            Change(
                file="src/clawmates/control/store/database.py",
                old='"secure_delete=ON", "synchronous=FULL"',
                new='"secure_delete=OFF", "synchronous=FULL"',
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="log-of-the-database-left",
        what="after the jobs SQLite's write-ahead log is not emptied",
        changes=(
            Change(
                file="src/clawmates/control/retention/keeper.py",
                old="        if any(done.values()):\n",
                new="        if len(done) < 0:\n",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="deletion-leaves-the-log",
        what="after a deletion SQLite's write-ahead log is copied and not cut",
        changes=(Change(file=_SCRUB, old="wal_checkpoint(TRUNCATE)", new="wal_checkpoint(PASSIVE)"),),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="receipt-before-the-bytes",
        what="a deletion's receipt is signed before the files are written anew",
        changes=(
            Change(
                file=_STEPS,
                old="        await _next(session, self.context, found, BYTES)\n",
                new="        found.log, found.rewritten_at = wire.Log.EMPTIED.value, now\n"
                "        await _next(session, self.context, found, SEAL)\n",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="no-tombstone",
        what="who was deleted is not written down, and is back after a restore",
        changes=(Change(file=_STEPS, old="        self.context.tombstones.add(found.account_id)\n", new=""),),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="errands-outlive-their-person",
        what="what was still to be done for somebody is not deleted with them",
        changes=(
            Change(
                file="src/clawmates/control/erasure/rows.py",
                old="        await run(delete(Errand).where(Errand.lane.in_(lanes[start : start + AT_ONCE])))\n",
                new="        await run(delete(Errand).where(Errand.lane.in_(lanes[start:start])))\n",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="tenants-keys-not-destroyed",
        what="the vault signs that a tenant was destroyed, and keeps the keys of its bots",
        changes=(
            Change(
                file="src/clawmates/vault/destruction.py",
                old='        connection.executemany("DELETE FROM data_keys WHERE bot = ?", '
                "[(bot,) for bot in target.bots])\n"
                "        if target.subject is Subject.TENANT:\n"
                '            connection.execute("DELETE FROM data_keys WHERE tenant = ?", (target.name,))\n',
                new="        if target.subject is Subject.BOT:\n"
                '            connection.executemany("DELETE FROM data_keys WHERE bot = ?", '
                "[(bot,) for bot in target.bots])\n",
            ),
        ),
        claim=Claim.RETENTION,
    ),
    Mutation(
        id="dead-rows-left",
        what="PostgreSQL's tables are swept and not written anew, so that dead rows stay in their pages",
        changes=(
            Change(
                file=_SCRUB,
                old="""text(f'VACUUM (FULL) "{table.name}"')""",
                new="""text(f'VACUUM "{table.name}"')""",
            ),
        ),
        test="tests/unit/control/test_erasure_bytes.py::test_no_byte_of_them_is_left",
    ),
)
