"""Retention jobs: to the day and to the row, by a clock that is handed in, whatever dies and however it jumps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.control import NOON, Place, a_bot, a_place, database_bytes, signed_in

from clawmates.control.accounts.tables import Link, Session
from clawmates.control.bots.tables import Bot, BotDay, BotError
from clawmates.control.retention import keeper, taking
from clawmates.control.retention.keeper import HOLD, Keeper, claim, step
from clawmates.control.retention.looks import retention
from clawmates.control.retention.rules import GRACE, JOBS, Job, bound, is_due, jobs, next_due
from clawmates.control.retention.tables import RetentionJob, RetentionRun
from clawmates.control.retention.taking import take
from clawmates.control.store.checkpoint import checkpoint
from clawmates.inventory import spans as kept
from clawmates.inventory.datum import Basis, Datum, End, Said, Store, Until
from clawmates.inventory.whole import of_store
from clawmates.wire import pairing

COUNTS = next(job for job in JOBS if job.name == "message-count")
ERRORS = next(job for job in JOBS if job.name == "error-logs")
EDGES = (29, 30, 31, 89, 90, 91)


def a_keeper(place: Place, holder: str = "one") -> Keeper:
    return Keeper(database=place.database, clock=place.clock, holder=holder)


async def an_account(place: Place, bot: str = "b-1") -> str:
    async with place.browser() as browser:
        account = await signed_in(place, browser)
    async with place.database.writing() as session:
        session.add(a_bot(bot, account))
    return account


async def count_days(place: Place, days: range, bot: str = "b-1") -> None:
    """On the day that was n days ago n messages: a day too many or too few shows in the sum."""
    today = place.clock.now().date()
    rows = [{"bot_id": bot, "day": today - timedelta(days=n), "messages": n, "tokens": 1000 * n} for n in days]
    async with place.database.writing() as session:
        await session.execute(insert(BotDay), rows)


async def sums(place: Place) -> tuple[int, int]:
    async with place.database.reading() as session:
        found = await session.execute(select(func.sum(BotDay.messages), func.sum(BotDay.tokens)))
        messages, tokens = found.one()
        return int(messages or 0), int(tokens or 0)


async def number_of(place: Place, table: type[BotDay | BotError | Link | Bot | Session | RetentionRun]) -> int:
    async with place.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def taken(place: Place, job: Job) -> int:
    async with place.database.reading() as session:
        return await session.scalar(select(func.sum(RetentionRun.taken)).where(RetentionRun.job == job.name)) or 0


def test_each_job_is_made_from_the_inventory_and_each_span_stands_there_alone() -> None:
    declared = {datum.id: datum for datum in of_store(Store.CONTROL)}
    assert {name for name, datum in declared.items() if datum.over} == {
        *("message-count", "error-logs", "session", "sign-in-link", "challenge", "attempts", "email-change"),
        *("pairing-hash", "bot", "retention-runs", "erasure"),
    }
    assert [job.name for job in JOBS if job.name not in declared] == ["bot-draft", "bot-cancelled"]
    for datum in declared.values():  # of what ends by age, only what somebody else takes away has no job
        assert datum.span is None or datum.over or datum.id in {"errands", "session-proof"}, datum.id
        assert all(end.after in (timedelta(), datum.span, kept.IDLE) or end.name for end in datum.over), datum.id
    assert COUNTS.daily
    assert not ERRORS.daily
    assert timedelta(seconds=pairing.SECONDS) == kept.PAIRING
    with pytest.raises(LookupError):
        jobs([replace(declared["session"], columns=("vault.x.y",), over=(End(column="vault.x.y"),))])
    with pytest.raises(ValueError, match="of its own"):
        Datum(
            id="x",
            what=Said("", ""),
            why=Said("", ""),
            until=Until.CHANGED,
            basis=Basis.CONTRACT,
            columns=("control.links.proof",),
            seen_by=(),
            over=(End(column="control.links.ends_at"),),
        )


@given(st.datetimes(min_value=NOON.replace(tzinfo=None), timezones=st.just(UTC)), st.integers(-400, 400))
def test_a_day_is_over_from_the_ninety_first_on_and_a_code_at_its_thirtieth(now: datetime, ago: int) -> None:
    days, codes = bound(COUNTS.rules[0], now), bound(ERRORS.rules[0], now)
    assert (days.inclusive, codes.inclusive) == (False, True)
    assert (now.date() - timedelta(days=ago) < days.value) is (ago >= 91)
    assert codes.value == now - timedelta(days=30)
    assert next_due(COUNTS, now).date() == now.date() + timedelta(days=1)
    assert now < next_due(ERRORS, now) <= now + timedelta(minutes=1)
    assert not is_due(next_due(COUNTS, now), now)
    assert is_due(next_due(COUNTS, now), now - timedelta(days=400))


async def test_at_each_edge_exactly_what_is_declared_is_left(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(130))
        async with place.database.writing() as session:
            session.add_all(
                BotError(bot_id="b-1", at=NOON - timedelta(days=n) + timedelta(seconds=s), code=str(n))
                for n in EDGES
                for s in (0, 1)
            )
        assert (await a_keeper(place).round())["message-count"] == 130 - 91
        assert await sums(place) == (sum(range(91)), 1000 * sum(range(91)))
        assert (await a_keeper(place, "two").round()) == {}, "a second time, and by another, nothing is due"
        async with place.database.reading() as session:
            codes = Counter(await session.scalars(select(BotError.code)))
        assert codes == {"29": 2, "30": 1}  # thirty days old to the second is over
        for day in EDGES:
            place.clock.moment = NOON + timedelta(days=day)
            await a_keeper(place).round()
            left = range(max(0, 91 - day))  # of those that were counted on n days ago, by now n + day ago
            assert await sums(place) == (sum(left), 1000 * sum(left)), day
            if day == EDGES[0]:
                assert await number_of(place, BotError) == 0
        assert await taken(place, COUNTS) == 130 - 39, "of the first run is no memory left"


async def test_by_another_comparison_a_day_too_few_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weakened build: ``<=`` for ``<``."""
    monkeypatch.setattr(taking, "bound", lambda rule, now: replace(bound(rule, now), inclusive=True))
    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(130))
        await a_keeper(place).round()
        assert await sums(place) == (sum(range(90)), 1000 * sum(range(90)))


async def test_a_draft_that_nobody_finishes_goes_and_a_bot_that_lives_stays(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        account = await an_account(place)
        async with place.database.writing() as session:
            session.add_all(
                a_bot(f"b-{stage}-{days}", account, stage=stage, changed_at=NOON - timedelta(days=days))
                for stage in ("draft", "active", "deleting")
                for days in EDGES
            )
        await a_keeper(place).round()
        async with place.database.reading() as session:
            left = set(await session.scalars(select(Bot.id)))
        assert left == {"b-1", "b-draft-29", *(f"b-{stage}-{n}" for stage in ("active", "deleting") for n in EDGES)}


async def test_a_clock_put_back_takes_nothing_and_a_leap_only_what_is_declared(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(91))
        one = a_keeper(place)
        await one.round()
        for years in (-8, -1):
            place.clock.moment = NOON + timedelta(days=365 * years)
            assert set((await one.round()).values()) == {0}, "it runs, and finds nothing"
        assert await sums(place) == (sum(range(91)), 1000 * sum(range(91)))
        assert await number_of(place, Session) == 1
        place.clock.moment = NOON + timedelta(days=365 * 5)
        done = await one.round()
        assert {name for name, rows in done.items() if rows} == {"message-count", "session"}
        assert await sums(place) == (0, 0)
        assert await number_of(place, Bot) == 1, "what ends by no clock is there"
        place.clock.moment = NOON
        await count_days(place, range(1, 131))
        assert (await one.round())["message-count"] == 130 - 90, "the jobs are not asleep until the year of the leap"


async def test_one_replica_holds_a_job_and_one_that_was_killed_not_for_ever(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(130))
        await a_keeper(place).round()
        await count_days(place, range(200, 300))
        place.clock.forward(days=1)

        async def claims(holder: str) -> bool:
            async with place.database.writing() as session:
                return await claim(session, COUNTS, holder, place.clock.now())

        assert [await claims("one"), await claims("two")] == [True, False]
        assert "message-count" not in await a_keeper(place, "two").round()
        place.clock.moment += HOLD
        assert await claims("two"), "the first one was killed"
        async with place.database.writing() as session:
            assert await step(session, COUNTS, "one", place.clock.now(), take) is None, "and is no ghost"
        assert await taken(place, COUNTS) == 39
        async with place.database.writing() as session:
            assert await step(session, COUNTS, "two", place.clock.now(), take) == 101
        assert await taken(place, COUNTS) == 140
        # Held by somebody whose clock was years ahead.
        place.clock.forward(days=1)
        async with place.database.writing() as session:
            far = {"holder": "three", "held_until": NOON + timedelta(days=4000)}
            await session.execute(update(RetentionJob).where(RetentionJob.job == COUNTS.name).values(far))
        assert await claims("one")


async def test_without_the_lock_two_do_one_jobs_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weakened build."""
    async with a_place(tmp_path) as place:
        await a_keeper(place).round()
        place.clock.forward(days=1)
        monkeypatch.setattr(keeper, "HOLD", -timedelta(seconds=1))
        async with place.database.writing() as session:
            both = [await claim(session, COUNTS, holder, place.clock.now()) for holder in ("one", "two")]
        assert both == [True, True]


async def test_broken_off_at_any_batch_a_run_goes_on_and_its_sum_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "BATCH", 10)
    real = taking.take

    def dies_at(batch: int) -> keeper.Taker:
        left = iter(range(batch))

        async def dying(session: AsyncSession, job: Job, now: datetime, most: int) -> int:
            found = await real(session, job, now, most)
            if job is COUNTS and next(left, None) is None:
                raise OperationalError("killed", {}, Exception())
            return found

        return dying

    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(91, 150))
        for batch in range(3):
            worker = replace(a_keeper(place, f"k{batch}"), takers={COUNTS.name: dies_at(batch)})
            await worker.round()
            gone = 59 - await number_of(place, BotDay)
            assert gone == await taken(place, COUNTS) == 10 * sum(range(batch + 1))
            place.clock.moment += HOLD
        await a_keeper(place).round()
        assert await number_of(place, BotDay) == 0
        async with place.database.reading() as session:
            (run,) = await session.scalars(select(RetentionRun).where(RetentionRun.job == COUNTS.name))
        assert (run.taken, run.ended_at) == (59, place.clock.now())
        assert run.began_at < place.clock.now()


async def test_jobs_with_nothing_to_do_end_together_and_those_that_somebody_is_at_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    async def seen(session: AsyncSession, job: Job, holder: str, now: datetime) -> bool:
        begun.append(job.name)
        return await claim(session, job, holder, now)

    monkeypatch.setattr(keeper, "claim", seen)
    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(95))
        done = await a_keeper(place).round()
        assert begun == [COUNTS.name]
        assert done == {job.name: 4 if job is COUNTS else 0 for job in JOBS}
        async with place.database.writing() as session:
            states = {row.job: row for row in await session.scalars(select(RetentionJob))}
            assert {row.ended_at for row in states.values()} == {place.clock.now()}
            assert {name: row.due_at for name, row in states.items()} == {
                job.name: next_due(job, place.clock.now()) for job in JOBS
            }
            session.add(RetentionRun(job=ERRORS.name, began_at=place.clock.now(), ended_at=None, taken=3))
            states["session"].holder = "two"
            states["session"].held_until = place.clock.now() + timedelta(seconds=90)
        place.clock.forward(seconds=61)
        done = await a_keeper(place).round()
        assert sorted(begun[1:]) == [ERRORS.name, "session"], (
            "a run that was broken off after its last row, and a held job"
        )
        assert ERRORS.name in done
        assert "session" not in done
        async with place.database.reading() as session:
            (run,) = await session.scalars(select(RetentionRun).where(RetentionRun.job == ERRORS.name))
        assert (run.taken, run.ended_at) == (3, place.clock.now())


async def test_a_job_in_trouble_holds_up_no_other_and_is_said_to_be_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuses(session: AsyncSession, job: Job, now: datetime, most: int) -> int:
        raise OperationalError("no", {}, Exception())

    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(95))
        sick = replace(a_keeper(place), takers={COUNTS.name: refuses})
        assert "retention-runs" in await sick.round()
        assert await sick.alarm() == set()
        place.clock.moment += GRACE + timedelta(seconds=1)
        await sick.round()
        for _ in range(2):
            assert await sick.alarm() == {"message-count"}
        said = capsys.readouterr().err
        assert said.count("message-count is late, it was due at 2026-11-30T12:00:00.000Z") == 1
        assert "message-count was not taken away: OperationalError at" in said
        async with place.database.reading() as session:
            shown = {row.job: row for row in (await retention(session, place.clock.now())).jobs}
        late = shown.pop("message-count")
        assert (late.late, late.ended_at, late.overdue, late.taken) == (True, "", 4, 0)
        assert [row.job for row in shown.values() if row.late] == []
        await a_keeper(place).round()
        place.clock.moment += HOLD
        await a_keeper(place).round()
        assert await sick.alarm() == set()


async def test_rows_that_no_job_took_are_seen_whatever_the_jobs_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def idles(session: AsyncSession, job: Job, now: datetime, most: int) -> int:
        return 0

    async with a_place(tmp_path) as place:
        await an_account(place)
        await count_days(place, range(95))
        await replace(a_keeper(place), takers=dict.fromkeys((job.name for job in JOBS), idles)).round()
        async with place.database.reading() as session:
            found = (await retention(session, place.clock.now())).jobs
        assert [(row.job, row.overdue) for row in found if row.late] == [("message-count", 4)]


async def test_the_ninety_first_day_begins_at_midnight_utc(tmp_path: Path) -> None:
    """Not a moment before, wherever the database thinks that it is."""
    async with a_place(tmp_path) as place:
        await an_account(place)
        place.clock.moment = datetime(2026, 12, 1, tzinfo=UTC) - timedelta(milliseconds=1)
        async with place.database.writing() as session:
            session.add(BotDay(bot_id="b-1", day=date(2026, 9, 1), messages=1, tokens=1))
        await a_keeper(place).round()
        assert await number_of(place, BotDay) == 1
        place.clock.forward(milliseconds=1)
        assert (await a_keeper(place).round())["message-count"] == 1


@pytest.mark.sqlite_alone
async def test_what_was_taken_away_is_not_in_the_files(tmp_path: Path) -> None:
    async def laid_down(place: Place) -> None:
        async with place.database.writing() as session:
            session.add_all(
                Link(proof=f"{n:064}", purpose="sign-in", email=f"canary{n}@example.org", account_id=None, ends_at=NOON)
                for n in range(40)
            )
        assert b"canary39@" in database_bytes(tmp_path)

    async with a_place(tmp_path) as place:
        await laid_down(place)
        await a_keeper(place).round()
        assert b"canary" not in database_bytes(tmp_path)
        # The weakened build: without secure_delete the bytes stay in free pages, and without the checkpoint in the log.
        async with place.database.engine.connect() as connection:
            assert await connection.scalar(text("PRAGMA secure_delete")) == 1
        await laid_down(place)
        async with place.database.writing() as session:
            await take(session, next(job for job in JOBS if job.name == "sign-in-link"), NOON, 500)
        assert b"canary" in database_bytes(tmp_path)
        async with place.database.reading() as session:
            await session.scalar(select(func.count()).select_from(Link))
            async with place.database.writing() as other:
                other.add(Link(proof="f" * 64, purpose="x", email="x", account_id=None, ends_at=NOON))
            assert not await checkpoint(place.database), "somebody reads an older moment"
        assert await checkpoint(place.database)
        assert b"canary" not in database_bytes(tmp_path)
