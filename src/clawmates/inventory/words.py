"""The words of the declaration as people read them, the same on pages, in records and in exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.inventory.datum import Basis, Datum, Form, Said, Store, Until, Viewer

if TYPE_CHECKING:
    from datetime import timedelta

BASIS = {
    Basis.CONTRACT: Said("contract: Art. 6(1)(b) GDPR", "Vertrag: Art. 6 Abs. 1 lit. b DSGVO"),
    Basis.LEGITIMATE_INTEREST: Said(
        "legitimate interest in security and accountability: Art. 6(1)(f) GDPR",
        "berechtigtes Interesse an Sicherheit und Nachvollziehbarkeit: Art. 6 Abs. 1 lit. f DSGVO",
    ),
    Basis.LEGAL_OBLIGATION: Said(
        "legal obligation: Art. 6(1)(c) GDPR", "rechtliche Pflicht: Art. 6 Abs. 1 lit. c DSGVO"
    ),
}
VIEWER = {
    Viewer.OWNER: Said("you", "du"),
    Viewer.OPERATOR: Said("who operates the platform", "wer die Plattform betreibt"),
    Viewer.MATE: Said("your bot's container", "der Container deines Bots"),
    Viewer.NODE: Said("the host that runs it", "die Maschine, auf der er läuft"),
    Viewer.VAULT: Said("the vault, while it hands it over", "der Tresor, während er es übergibt"),
    Viewer.PROVIDER: Said("the AI provider you chose", "der KI-Anbieter, den du gewählt hast"),
    Viewer.MESSENGER: Said("the messenger", "der Messenger"),
    Viewer.NOBODY: Said("nobody", "niemand"),
}
FORM = {
    Form.CLEAR: Said("as it is", "im Klartext"),
    Form.SEALED: Said("encrypted (AES-256-GCM)", "verschlüsselt (AES-256-GCM)"),
    Form.HASH: Said("as a hash", "als Hash"),
    Form.KEY: Said("a key; it says nothing by itself", "ein Schlüssel; er sagt selbst nichts"),
}
STORE = {
    Store.CONTROL: Said("database of the web service", "Datenbank des Webdienstes"),
    Store.VAULT: Said("the vault's database", "Datenbank des Tresors"),
    Store.KEYS: Said("the vault's key file, apart from it", "Schlüsseldatei des Tresors, getrennt davon"),
    Store.FILE: Said("a file on the platform's disk", "eine Datei auf der Platte der Plattform"),
    Store.LOG: Said("event log", "Ereignisprotokoll"),
    Store.RAM: Said("memory alone", "nur im Arbeitsspeicher"),
}
_UNITS = (
    (86_400, Said("day", "Tag"), Said("days", "Tage")),
    (3600, Said("hour", "Stunde"), Said("hours", "Stunden")),
    (60, Said("minute", "Minute"), Said("minutes", "Minuten")),
)
_ENDS = {
    Until.ACCOUNT_DELETED: Said("Until account deletion", "Bis das Konto gelöscht wird"),
    Until.BOT_DELETED: Said("Until you delete the bot", "Bis du den Bot löschst"),
    Until.CHANGED: Said("Until you change it", "Bis du es änderst"),
    Until.AGE: Said("{span}", "{span}"),
    Until.USED: Said("Until it is used, at most {span}", "Bis es benutzt ist, höchstens {span}"),
    Until.UNLINKED: Said(
        "The entry stays; that it was about you ends with the account",
        "Der Eintrag bleibt; dass er dich betraf, endet mit dem Konto",
    ),
    Until.NEVER: Said("It stays, and is about nobody", "Es bleibt, und handelt von niemandem"),
}
_DONE = Said("Until it is done", "Bis es erledigt ist")


def length(span: timedelta) -> Said:
    """``30 days``: in the largest unit that it is a whole number of."""
    seconds = int(span.total_seconds())
    size, one, more = next(unit for unit in _UNITS if seconds % unit[0] == 0)
    count = seconds // size
    unit = one if count == 1 else more
    return Said(f"{count} {unit.en}", f"{count} {unit.de}")


def end(datum: Datum) -> Said:
    """Until when it is kept."""
    if datum.ends is not None:
        return datum.ends
    if datum.span is None:
        return _DONE if datum.until is Until.USED else _ENDS[datum.until]
    told, span = _ENDS[datum.until], length(datum.span)
    return Said(told.en.format(span=span.en), told.de.format(span=span.de))
