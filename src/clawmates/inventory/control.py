"""What control keeps beside the page's seven rows, listed as honestly."""

from __future__ import annotations

from clawmates.inventory.accounts import ACCOUNTS
from clawmates.inventory.bots import BOTS
from clawmates.inventory.datum import Basis, Datum, End, Form, Said, Until, Viewer
from clawmates.inventory.spans import ERRANDS, RECEIPT, RUNS

CONTROL: tuple[Datum, ...] = (
    *ACCOUNTS,
    *BOTS,
    Datum(
        id="errands",
        what=Said(
            "what is still to be done: a bot's changes, calls to the vault, sealed to it where secret, mails, no link",
            (
                "was noch zu tun ist: Änderungen eines Bots, Aufrufe an den Tresor (Geheimes für ihn versiegelt), "
                "E-Mails, kein Link"
            ),
        ),
        why=Said(
            "so that nothing is half done when a part does not answer",
            "damit nichts halb getan bleibt, wenn ein Teil nicht antwortet",
        ),
        until=Until.USED,
        span=ERRANDS,
        ends=Said(
            f"Until it is done; what is sealed, and mails: at most {ERRANDS.days} day",
            f"Bis es erledigt ist; Versiegeltes und E-Mails: höchstens {ERRANDS.days} Tag",
        ),
        basis=Basis.CONTRACT,
        columns=(
            "control.errands.number",
            "control.errands.lane",
            "control.errands.kind",
            "control.errands.body",
            "control.errands.tries",
            "control.errands.trouble",
            "control.errands.due_at",
            "control.errands.made_at",
        ),
        seen_by=(Viewer.NOBODY,),
    ),
    Datum(
        id="erasure",
        what=Said(
            "a deletion that was asked for: how far it is, counts, and at last its signed receipt; no value of yours",
            "eine verlangte Löschung: wie weit sie ist, Zahlen, am Ende ihre signierte Quittung; kein Wert von dir",
        ),
        why=Said(
            "so that it is done to its end, and you can fetch the receipt",
            "damit sie zu Ende geführt wird und du die Quittung abholen kannst",
        ),
        until=Until.USED,
        span=RECEIPT,
        over=(End(column="control.erasures.ends_at"),),
        basis=Basis.LEGAL_OBLIGATION,
        columns=(
            "control.erasures.id",
            "control.erasures.account_id",
            "control.erasures.asked_at",
            "control.erasures.told",
            "control.erasures.vault",
            "control.erasures.erased_at",
            "control.erasures.data",
            "control.erasures.rewritten_at",
            "control.erasures.log",
            "control.erasures.receipt",
            "control.erasures.ends_at",
            "control.bot_ends.bot_id",
            "control.bot_ends.reason",
            "control.bot_ends.node",
            "control.bot_ends.gone_after",
            "control.bot_ends.ended_by",
        ),
        seen_by=(Viewer.OWNER,),
    ),
    Datum(
        id="receipt-code",
        what=Said(
            "a keyed hash of the code that opens a deletion's receipt",
            "ein verschlüsselter Hash vom Code, der die Quittung einer Löschung öffnet",
        ),
        why=Said("so that nobody else fetches it", "damit niemand anders sie abholt"),
        until=Until.USED,
        basis=Basis.LEGAL_OBLIGATION,
        columns=("control.erasures.page_proof", "control.erasures.mail_proof"),
        seen_by=(Viewer.NOBODY,),
        form=Form.HASH,
    ),
    Datum(
        id="pseudonym-key",
        what=Said(
            "the key by which the audit chain calls you by another name",
            "der Schlüssel, unter dem dich das Prüfprotokoll anders nennt",
        ),
        why=Said(
            "so that the chain can stay when you go, and nobody can tell it was you",
            "damit das Protokoll bleiben kann, wenn du gehst, und niemand sieht, dass du es warst",
        ),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=("control.accounts.pseudonym_key",),
        seen_by=(Viewer.NOBODY,),
        form=Form.KEY,
    ),
    Datum(
        id="audit",
        what=Said("what was done, when, under a pseudonym", "was getan wurde, wann, unter einem Decknamen"),
        why=Said(
            "so that you and an auditor can see what happened, and that nobody changed it",
            "damit du und ein Prüfer sehen, was geschah, und dass es niemand geändert hat",
        ),
        until=Until.UNLINKED,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.audit_entries.number",
            "control.audit_entries.at",
            "control.audit_entries.tag",
            "control.audit_entries.subject",
            "control.audit_entries.detail",
            "control.audit_entries.hash",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
    Datum(
        id="audit-witnesses",
        what=Said(
            "the signatures under the ends of the audit chains", "die Unterschriften unter den Enden der Prüfprotokolle"
        ),
        why=Said("so that nobody can rewrite them unseen", "damit sie niemand unbemerkt umschreibt"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.audit_witnesses.number",
            "control.audit_witnesses.chain",
            "control.audit_witnesses.at",
            "control.audit_witnesses.body",
        ),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="nodes",
        what=Said(
            "the hosts that run bots, and what they have heard",
            "die Maschinen, auf denen Bots laufen, und was sie gehört haben",
        ),
        why=Said("to place bots and to know what runs", "um Bots zu verteilen und zu wissen, was läuft"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.nodes.name",
            "control.nodes.region",
            "control.nodes.stage",
            "control.nodes.drains",
            "control.nodes.capacity",
            "control.nodes.revision",
            "control.nodes.seen_revision",
            "control.nodes.release",
            "control.nodes.report_run",
            "control.nodes.report_number",
            "control.nodes.joined_at",
            "control.nodes.seen_at",
        ),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="retention-runs",
        what=Said(
            "which job took how many rows away that were over, and when; not whose",
            "welcher Auftrag wann wie viele abgelaufene Zeilen entfernt hat; nicht, wessen",
        ),
        why=Said(
            "to show that what is over is taken away in time",
            "um zu zeigen, dass Abgelaufenes rechtzeitig geht",
        ),
        until=Until.AGE,
        span=RUNS,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.retention_runs.number",
            "control.retention_runs.job",
            "control.retention_runs.began_at",
            "control.retention_runs.ended_at",
            "control.retention_runs.taken",
        ),
        over=(End(column="control.retention_runs.began_at", after=RUNS),),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="retention-jobs",
        what=Said(
            "when each of these jobs is due, when it ended last, and which replica is at it",
            "wann jeder dieser Aufträge fällig ist, wann er zuletzt endete, und wer gerade daran ist",
        ),
        why=Said("so that each runs, and once at a time", "damit jeder läuft, und nur einmal zugleich"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.retention_jobs.job",
            "control.retention_jobs.due_at",
            "control.retention_jobs.ended_at",
            "control.retention_jobs.holder",
            "control.retention_jobs.held_until",
        ),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="schema-version",
        what=Said("which migration the database is at", "auf welchem Stand die Datenbank ist"),
        why=Said("to bring it to the next one", "um sie auf den nächsten zu bringen"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=("control.alembic_version.version_num",),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
)
