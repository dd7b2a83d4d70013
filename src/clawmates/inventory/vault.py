"""What the vault keeps: records in ``vault.db``, the keys that open them in ``keys.db``."""

from __future__ import annotations

from datetime import timedelta

from clawmates.inventory.datum import Basis, Datum, Form, Said, Until, Viewer, item

RECEIPTS = timedelta(days=30)

VAULT: tuple[Datum, ...] = (
    Datum(
        id="api-key",
        what=Said("API keys of AI providers", "API-Schlüssel von KI-Anbietern"),
        why=Said("so that your bot may ask them", "damit dein Bot sie fragen darf"),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=item("provider-key", "fallback-key"),
        seen_by=(Viewer.MATE, Viewer.VAULT, Viewer.PROVIDER),
        form=Form.SEALED,
    ),
    Datum(
        id="people",
        what=Said(
            "who may talk to a bot: their numbers at the messenger, and what they were told",
            "wer mit einem Bot reden darf: ihre Nummern beim Messenger, und was ihnen gesagt wurde",
        ),
        why=Said("to let in whom you let in, and nobody else", "um einzulassen, wen du einlässt, und niemanden sonst"),
        until=Until.CHANGED,
        basis=Basis.CONTRACT,
        columns=item("people"),
        seen_by=(Viewer.OWNER, Viewer.MATE, Viewer.VAULT),
        form=Form.SEALED,
        exported=True,
    ),
    Datum(
        id="ingress-key",
        what=Said(
            "the key with which a bot's container answers a messenger that calls in",
            "der Schlüssel, mit dem der Container eines Bots einem Messenger antwortet, der ihn anruft",
        ),
        why=Said("so that TLS ends inside the container", "damit TLS erst im Container endet"),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=item("ingress-key"),
        seen_by=(Viewer.MATE, Viewer.VAULT),
        form=Form.SEALED,
    ),
    Datum(
        id="vault-bots",
        what=Said(
            "which bots the vault knows, whose they are, and where they may run, how long",
            "welche Bots der Tresor kennt, wem sie gehören, wo sie laufen dürfen und wie lange",
        ),
        why=Said(
            "to hand credentials only to where they belong", "um Zugangsdaten nur dorthin zu geben, wohin sie gehören"
        ),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=(
            "vault.bots.bot",
            "vault.bots.tenant",
            "vault.bots.node",
            "vault.bots.frozen",
            "vault.leases.bot",
            "vault.leases.seconds",
            "vault.leases.until",
        ),
        seen_by=(Viewer.OPERATOR, Viewer.NODE),
    ),
    Datum(
        id="spent-versions",
        what=Said("the numbers of versions that were destroyed", "die Nummern von Fassungen, die vernichtet wurden"),
        why=Said(
            "so that nothing destroyed comes back under its old number",
            "damit nichts Vernichtetes unter seiner alten Nummer wiederkommt",
        ),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=(
            "vault.spent.bot",
            "vault.spent.name",
            "vault.spent.version",
        ),
        seen_by=(Viewer.NOBODY,),
    ),
    Datum(
        id="tenant-key",
        what=Said(
            "the key of your account, which locks the keys of your items",
            "der Schlüssel deines Kontos, der die Schlüssel deiner Sachen verschließt",
        ),
        why=Said("so that destroying it destroys all of them", "damit mit ihm alles vernichtet ist"),
        until=Until.BOT_DELETED,
        ends=Said("Until your last bot is deleted", "Bis dein letzter Bot gelöscht ist"),
        basis=Basis.CONTRACT,
        columns=(
            "keys.tenant_keys.tenant",
            "keys.tenant_keys.generation",
            "keys.tenant_keys.master",
            "keys.tenant_keys.wrapped",
        ),
        seen_by=(Viewer.NOBODY,),
        form=Form.KEY,
    ),
    Datum(
        id="backup-key",
        what=Said(
            "the key to which what backups hold of you is sealed",
            "der Schlüssel, für den versiegelt ist, was in Sicherungen von dir steht",
        ),
        why=Said(
            "so that destroying it makes that unreadable in every backup there is",
            "damit mit ihm all das in jeder Sicherung unlesbar wird",
        ),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "keys.backup_keys.tenant",
            "keys.backup_keys.public",
            "keys.backup_keys.master",
            "keys.backup_keys.wrapped",
        ),
        seen_by=(Viewer.NOBODY,),
        form=Form.KEY,
    ),
    Datum(
        id="destruction",
        what=Said(
            "a destruction's plan and its signed receipt, by bot or account",
            "der Plan einer Vernichtung und ihre unterschriebene Quittung, nach Bot oder Konto",
        ),
        why=Said(
            "so that what was begun is finished, and you get the receipt also when its answer was lost",
            "damit Begonnenes fertig wird und du die Quittung auch dann bekommst, wenn die Antwort verloren ging",
        ),
        until=Until.AGE,
        span=RECEIPTS,
        basis=Basis.CONTRACT,
        columns=(
            "keys.destructions.id",
            "keys.destructions.subject",
            "keys.destructions.name",
            "keys.destructions.asked",
            "keys.destructions.plan",
            "keys.destructions.receipt",
            "keys.owed_entries.destruction",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
    ),
    Datum(
        id="vault-audit",
        what=Said(
            "what became of a bot's keys, when, by the bot's number",
            "was aus den Schlüsseln eines Bots wurde, wann, unter der Nummer des Bots",
        ),
        why=Said(
            "so that you and an auditor can see what happened, and that nobody changed it",
            "damit du und ein Prüfer sehen, was geschah, und dass es niemand geändert hat",
        ),
        until=Until.UNLINKED,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "vault.audit.number",
            "vault.audit.at",
            "vault.audit.tag",
            "vault.audit.detail",
            "vault.audit.hash",
            "vault.audit_bots.bot",
            "vault.audit_bots.number",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
    Datum(
        id="vault-witnesses",
        what=Said(
            "the signatures under the ends of the audit chains, and the certificates they were made with",
            "die Unterschriften unter den Enden der Prüfprotokolle, und die Zertifikate dazu",
        ),
        why=Said("so that nobody can rewrite them unseen", "damit sie niemand unbemerkt umschreibt"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "vault.witnesses.id",
            "vault.witnesses.node",
            "vault.witnesses.line",
            "vault.witnesses.line_hash",
            "vault.witnesses.number",
            "vault.witnesses.hash",
            "vault.witnesses.at",
            "vault.witnesses.signer",
            "vault.witnesses.signature",
            "vault.signers.id",
            "vault.signers.certificate",
            "vault.control_heads.number",
            "vault.control_heads.line",
        ),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="vault-keys",
        what=Said(
            "the vault's own keys: what is sealed to it, what its receipts are signed with, which master key there is",
            (
                "die eigenen Schlüssel des Tresors: wofür versiegelt wird, womit Quittungen unterschrieben sind, "
                "welcher Hauptschlüssel gilt"
            ),
        ),
        why=Said(
            "to open what was sealed to it, and to sign",
            "um zu öffnen, was für ihn versiegelt wurde, und um zu unterschreiben",
        ),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "keys.vault.one",
            "keys.vault.region",
            "keys.vault.master",
            "keys.vault.canary",
            "keys.intake_keys.id",
            "keys.intake_keys.public",
            "keys.intake_keys.master",
            "keys.intake_keys.wrapped",
            "keys.intake_keys.made",
            "keys.intake_keys.honoured_until",
            "keys.signing_keys.id",
            "keys.signing_keys.public",
            "keys.signing_keys.master",
            "keys.signing_keys.wrapped",
            "keys.signing_keys.made",
        ),
        seen_by=(Viewer.NOBODY,),
        form=Form.KEY,
        about_a_person=False,
    ),
)
