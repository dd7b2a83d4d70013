"""What control keeps of an account and of the ways into it."""

from __future__ import annotations

from clawmates.inventory.datum import Basis, Datum, End, Form, Said, Until, Viewer
from clawmates.inventory.spans import ADDRESS, ATTEMPTS, CHALLENGE, IDLE, LINK, SESSION

ACCOUNTS: tuple[Datum, ...] = (
    Datum(
        id="account",
        what=Said(
            "your account: its number, the language you chose, since when",
            "dein Konto: seine Nummer, deine Sprache, seit wann",
        ),
        why=Said("to know what belongs to you", "um zu wissen, was dir gehört"),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.CONTRACT,
        columns=(
            "control.accounts.id",
            "control.accounts.language",
            "control.accounts.created_at",
            "control.accounts.leaving_at",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
    Datum(
        id="session",
        what=Said(
            "each signed-in browser: its kind, since when, when it was used",
            "jeder angemeldete Browser: welcher Art, seit wann, wann benutzt",
        ),
        why=Said(
            "to keep you signed in, and to show you where you are",
            "damit du angemeldet bleibst und siehst, wo du es bist",
        ),
        until=Until.AGE,
        span=SESSION,
        basis=Basis.CONTRACT,
        columns=(
            "control.sessions.account_id",
            "control.sessions.created_at",
            "control.sessions.seen_at",
            "control.sessions.ends_at",
            "control.sessions.proved_at",
            "control.sessions.browser",
        ),
        over=(End(column="control.sessions.ends_at"), End(column="control.sessions.seen_at", after=IDLE)),
        seen_by=(Viewer.OWNER,),
        exported=True,
    ),
    Datum(
        id="session-proof",
        what=Said("a hash of each signed-in browser's cookie", "ein Hash vom Cookie jedes angemeldeten Browsers"),
        why=Said("to know the browser again", "um den Browser wiederzuerkennen"),
        until=Until.AGE,
        span=SESSION,
        basis=Basis.CONTRACT,
        columns=("control.sessions.proof",),
        seen_by=(Viewer.NOBODY,),
        form=Form.HASH,
    ),
    Datum(
        id="passkey",
        what=Said(
            "the public key of a passkey, its name, and when it was used",
            "der öffentliche Schlüssel eines Passkeys, sein Name, und wann er benutzt wurde",
        ),
        why=Said("to let you in with it", "um dich damit einzulassen"),
        until=Until.ACCOUNT_DELETED,
        ends=Said("Until you remove it or delete the account", "Bis du ihn entfernst oder das Konto löschst"),
        basis=Basis.CONTRACT,
        columns=(
            "control.passkeys.id",
            "control.passkeys.account_id",
            "control.passkeys.public_key",
            "control.passkeys.sign_count",
            "control.passkeys.name",
            "control.passkeys.created_at",
            "control.passkeys.used_at",
        ),
        seen_by=(Viewer.OWNER,),
        exported=True,
    ),
    Datum(
        id="agreement",
        what=Said(
            "that you made a data processing agreement: when, which version and language, a hash of the file",
            "dass du einen Vertrag zur Auftragsverarbeitung erstellt hast: wann, Fassung, Sprache, ein Hash der Datei",
        ),
        why=Said(
            "so that both sides can show which file it is; what it says is not kept",
            "damit beide Seiten zeigen können, welche Datei es ist; was darin steht, wird nicht aufgehoben",
        ),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.LEGAL_OBLIGATION,
        columns=(
            "control.agreements.account_id",
            "control.agreements.digest",
            "control.agreements.version",
            "control.agreements.language",
            "control.agreements.made_at",
        ),
        seen_by=(Viewer.OWNER,),
        exported=True,
    ),
    Datum(
        id="email-change",
        what=Said("a new address that waits to be confirmed", "eine neue Adresse, die auf Bestätigung wartet"),
        why=Said(
            "to change your address only when both sides agree",
            "damit sich deine Adresse nur ändert, wenn beide Seiten zustimmen",
        ),
        until=Until.USED,
        span=ADDRESS,
        basis=Basis.CONTRACT,
        columns=(
            "control.email_changes.account_id",
            "control.email_changes.email",
            "control.email_changes.old_confirmed",
            "control.email_changes.new_confirmed",
            "control.email_changes.ends_at",
        ),
        over=(End(column="control.email_changes.ends_at"),),
        seen_by=(Viewer.OWNER,),
        exported=True,
    ),
    Datum(
        id="sign-in-link",
        what=Said(
            "a keyed hash of a link in an e-mail, what it is for, and the address it went to",
            "ein Hash eines Links in einer E-Mail, wofür er ist, und an welche Adresse er ging",
        ),
        why=Said("to let you in without a password", "um dich ohne Passwort einzulassen"),
        until=Until.USED,
        span=LINK,
        basis=Basis.CONTRACT,
        columns=(
            "control.links.proof",
            "control.links.purpose",
            "control.links.email",
            "control.links.account_id",
            "control.links.ends_at",
        ),
        over=(End(column="control.links.ends_at"),),
        seen_by=(Viewer.NOBODY,),
        form=Form.HASH,
    ),
    Datum(
        id="challenge",
        what=Said(
            "a hash of what a passkey was asked to sign", "ein Hash von dem, was ein Passkey unterschreiben sollte"
        ),
        why=Said("so that an answer counts once", "damit eine Antwort nur einmal zählt"),
        until=Until.USED,
        span=CHALLENGE,
        basis=Basis.CONTRACT,
        columns=(
            "control.challenges.proof",
            "control.challenges.purpose",
            "control.challenges.account_id",
            "control.challenges.ends_at",
        ),
        over=(End(column="control.challenges.ends_at"),),
        seen_by=(Viewer.NOBODY,),
        form=Form.HASH,
    ),
    Datum(
        id="attempts",
        what=Said(
            "how often somebody tried, under a keyed hash of an address or network",
            "wie oft es jemand versucht hat, unter einem Hash von Adresse oder Netz",
        ),
        why=Said("to slow down those who guess", "um Leute zu bremsen, die raten"),
        until=Until.AGE,
        span=ATTEMPTS,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.attempts.who",
            "control.attempts.what",
            "control.attempts.since",
            "control.attempts.count",
            "control.attempts.ends_at",
        ),
        over=(End(column="control.attempts.ends_at"),),
        seen_by=(Viewer.NOBODY,),
        form=Form.HASH,
    ),
)
