"""What control keeps of bots beside what the page's rows name; nothing of it is secret."""

from __future__ import annotations

from clawmates.inventory.datum import Basis, Datum, End, Form, Said, Until, Viewer
from clawmates.inventory.spans import CANCELLED, DRAFT, PAIRING

BOTS: tuple[Datum, ...] = (
    Datum(
        id="bot",
        what=Said(
            "a bot's name, its channel, region and limits, and by which rule people may talk to it",
            "Name, Kanal, Region und Grenzen eines Bots, und nach welcher Regel man mit ihm reden darf",
        ),
        why=Said("to run your bot as you set it up", "damit dein Bot so läuft, wie du ihn eingerichtet hast"),
        until=Until.BOT_DELETED,
        ends=Said(
            f"Until you delete the bot, at most {CANCELLED.days} days after you cancel; a draft {DRAFT.days} days",
            f"Bis du den Bot löschst, höchstens {CANCELLED.days} Tage nach der Kündigung; Entwürfe {DRAFT.days} Tage",
        ),
        basis=Basis.CONTRACT,
        columns=(
            "control.bots.id",
            "control.bots.account_id",
            "control.bots.name",
            "control.bots.stage",
            "control.bots.channel",
            "control.bots.limits",
            "control.bots.access",
            "control.bots.paused",
            "control.bots.restarts",
            "control.bots.region",
            "control.bots.node",
            "control.bots.version",
            "control.bots.created_at",
            "control.bots.changed_at",
        ),
        over=(
            End(name="draft", column="control.bots.changed_at", after=DRAFT, only=("control.bots.stage", "draft")),
            End(
                name="cancelled",
                column="control.accounts.cancelled_at",
                of="control.bots.account_id",
                after=CANCELLED,
            ),
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR, Viewer.NODE),
        exported=True,
    ),
    Datum(
        id="item-versions",
        what=Said(
            "which version of token, key, prompt and people the vault keeps; not what they say",
            "welche Fassung von Token, Schlüssel, Prompt und Personen der Tresor hat; nicht, was darin steht",
        ),
        why=Said(
            "to tell your bot's container which ones to open",
            "damit der Container deines Bots weiß, welche er öffnen soll",
        ),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=(
            "control.bot_items.bot_id",
            "control.bot_items.name",
            "control.bot_items.version",
            "control.bot_items.kept",
            "control.bot_items.trouble",
            "control.bot_items.changed_at",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR, Viewer.NODE),
        exported=True,
    ),
    Datum(
        id="bot-state",
        what=Said(
            "whether a bot is live, since when, the code if not, and its own name at the messenger",
            "ob ein Bot lebt, seit wann, sonst der Code, und sein eigener Name beim Messenger",
        ),
        why=Said("to show you how your bot is", "um dir zu zeigen, wie es deinem Bot geht"),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=(
            "control.bot_states.bot_id",
            "control.bot_states.node",
            "control.bot_states.state",
            "control.bot_states.code",
            "control.bot_states.username",
            "control.bot_states.since",
            "control.bot_states.reported_at",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
    Datum(
        id="receipt",
        what=Said(
            "the vault's signed word that a bot's keys are destroyed",
            "das unterschriebene Wort des Tresors, dass die Schlüssel eines Bots vernichtet sind",
        ),
        why=Said("so that you can show it", "damit du es vorzeigen kannst"),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.CONTRACT,
        columns=(
            "control.bot_receipts.bot_id",
            "control.bot_receipts.account_id",
            "control.bot_receipts.at",
            "control.bot_receipts.body",
        ),
        seen_by=(Viewer.OWNER,),
        exported=True,
    ),
    Datum(
        id="pairing-hash",
        what=Said("a slow hash of a pairing code", "ein langsamer Hash eines Kopplungscodes"),
        why=Said("to let in the person who has the code", "um die Person einzulassen, die den Code hat"),
        until=Until.USED,
        span=PAIRING,
        basis=Basis.CONTRACT,
        columns=(
            "control.bot_pairings.salt",
            "control.bot_pairings.bot_id",
            "control.bot_pairings.digest",
            "control.bot_pairings.ends_at",
        ),
        over=(End(column="control.bot_pairings.ends_at"),),
        seen_by=(Viewer.NODE, Viewer.MATE),
        form=Form.HASH,
    ),
    Datum(
        id="moves",
        what=Said(
            "which bot is on its way from a lost or drained host to another, and from when on it may run there",
            "welcher Bot auf dem Weg von einer Maschine zu einer anderen ist, und ab wann er dort laufen darf",
        ),
        why=Said("so that a bot never runs twice", "damit ein Bot nie zweimal läuft"),
        until=Until.USED,
        basis=Basis.CONTRACT,
        columns=(
            "control.bot_moves.bot_id",
            "control.bot_moves.origin",
            "control.bot_moves.free_at",
            "control.bot_moves.gone_after",
            "control.bot_moves.target",
        ),
        seen_by=(Viewer.OPERATOR,),
    ),
)
