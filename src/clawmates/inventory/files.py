"""Files of the state folder, and the closed events of its log."""

from __future__ import annotations

from datetime import timedelta

from clawmates.inventory.datum import Basis, Datum, Form, Said, Until, Viewer

EVENTS = timedelta(days=30)
BACKUPS = timedelta(days=30)

FILES: tuple[Datum, ...] = (
    Datum(
        id="selfhost-bots",
        what=Said(
            (
                "which bots should run, in self-host: name, provider, model, limits, who may talk to them by which "
                "rule, hashes of pairing codes"
            ),
            (
                "welche Bots laufen sollen, beim Selbst-Hosten: Name, Anbieter, Modell, Grenzen, nach welcher Regel man"
                " mit ihnen redet, Hashes von Kopplungscodes"
            ),
        ),
        why=Said("to run your bots as you set them up", "damit deine Bots so laufen, wie du sie eingerichtet hast"),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=("file.desired.json",),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR, Viewer.NODE),
        exported=True,
    ),
    Datum(
        id="event-log",
        what=Said(
            (
                "lines of the processes: that something started, stopped or failed, when, with which bot by its "
                "number, as a code"
            ),
            (
                "Zeilen der Prozesse: dass etwas begann, endete oder misslang, wann, bei welchem Bot nach seiner "
                "Nummer, als Code"
            ),
        ),
        why=Said("to find out what is wrong with the platform", "um herauszufinden, was der Plattform fehlt"),
        until=Until.AGE,
        span=EVENTS,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "file.log/*-????-??-??.jsonl",
            "log.gateway.at",
            "log.gateway.bot",
            "log.gateway.process",
            "log.gateway.code",
            "log.gateway.number",
            "log.gateway.life",
            "log.node.at",
            "log.node.bot",
            "log.node.process",
            "log.node.code",
            "log.node.number",
            "log.node.milliseconds",
            "log.vault.at",
            "log.vault.bot",
            "log.vault.process",
            "log.vault.code",
        ),
        seen_by=(Viewer.OPERATOR,),
    ),
    Datum(
        id="node-heads",
        what=Said(
            "the ends of the vault's audit chain that this host has signed",
            "die Enden vom Prüfprotokoll des Tresors, die diese Maschine unterschrieben hat",
        ),
        why=Said("so that nobody can rewrite the chain unseen", "damit niemand das Protokoll unbemerkt umschreibt"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=("file.node/heads.jsonl",),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="backup",
        what=Said(
            (
                "sealed copies of the databases, which only the operator's own key opens; what is about you only with a"
                " key of yours, too, that is destroyed with your account; neither of these is in them, nor a key of "
                "your bots, but the platform's own for certificates and hashes are"
            ),
            (
                "versiegelte Abschriften der Datenbanken, die nur der eigene Schlüssel des Betreibers öffnet; was von "
                "dir ist, nur zusammen mit einem Schlüssel von dir, der mit deinem Konto vernichtet wird; keiner von "
                "beiden ist darin, auch keiner deiner Bots, wohl aber die der Plattform für Zertifikate und Hashes"
            ),
        ),
        why=Said("to bring everything back after a loss", "um nach einem Verlust alles wiederherzustellen"),
        until=Until.AGE,
        span=BACKUPS,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=("file.backup/*",),
        seen_by=(Viewer.OPERATOR,),
        form=Form.SEALED,
    ),
    Datum(
        id="erased-list",
        what=Said(
            "who was deleted: a keyed hash of the account's number, which leads to nobody",
            "wer gelöscht wurde: ein verschlüsselter Hash der Kontonummer, der zu niemandem führt",
        ),
        why=Said(
            "so that who was deleted stays deleted when a database is put back from a backup",
            "damit gelöscht bleibt, wer gelöscht wurde, wenn eine Datenbank aus einer Sicherung zurückkommt",
        ),
        until=Until.NEVER,
        basis=Basis.LEGAL_OBLIGATION,
        columns=("file.control/erased",),
        seen_by=(Viewer.NOBODY,),
        form=Form.HASH,
        about_a_person=False,
    ),
    Datum(
        id="databases",
        what=Said(
            "the files in which the databases above are, with their journals",
            "die Dateien, in denen die Datenbanken von oben sind, mit ihren Journalen",
        ),
        why=Said("because a database is a file", "weil eine Datenbank eine Datei ist"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "file.control/control.db",
            "file.control/control.db-wal",
            "file.control/control.db-shm",
            "file.vault/vault.db",
            "file.vault/vault.db-journal",
            "file.vault/keys.db",
            "file.vault/keys.db-journal",
        ),
        seen_by=(Viewer.NOBODY,),
        about_a_person=False,
    ),
    Datum(
        id="platform-keys",
        what=Said(
            (
                "the platform's own keys: certificates of its parts, the vault's master key, the key of hashes, hashes "
                "of enrolment tokens"
            ),
            (
                "die eigenen Schlüssel der Plattform: Zertifikate ihrer Teile, der Hauptschlüssel des Tresors, der "
                "Schlüssel der Hashes, Hashes von Aufnahme-Tokens"
            ),
        ),
        why=Said(
            "so that the parts know each other, and nothing opens without them",
            "damit die Teile einander erkennen, und ohne sie nichts aufgeht",
        ),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "file.pki/authority.pem",
            "file.pki/authority.key",
            "file.pki/*/cert.pem",
            "file.pki/*/key.pem",
            "file.pki/revoked/names.json",
            "file.pki/enrolments.json",
            "file.pki/enrolments.lock",
            "file.vault/master.key",
            "file.vault/master.key.new",
            "file.vault/master.key.old",
            "file.control/pepper",
        ),
        seen_by=(Viewer.NOBODY,),
        form=Form.KEY,
        about_a_person=False,
    ),
    Datum(
        id="configuration",
        what=Said("the configuration, without any secret", "die Konfiguration, ohne ein Geheimnis"),
        why=Said(
            "to run the platform as its operator wants it", "damit die Plattform so läuft, wie ihr Betreiber es will"
        ),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=("file.clawmates.toml",),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="software",
        what=Said(
            "the signed software of the containers, and the last version of it that was good",
            "die unterschriebene Software der Container, und ihre letzte gute Fassung",
        ),
        why=Said("so that nothing else runs", "damit nichts anderes läuft"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "file.release/*",
            "file.node/release/*",
        ),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
    Datum(
        id="engine",
        what=Said(
            (
                "the container engine's own files: images, layers and what it knows of running containers; no output of"
                " theirs"
            ),
            (
                "die eigenen Dateien der Container-Engine: Abbilder, Schichten, und was sie von laufenden Containern "
                "weiß; nichts von deren Ausgabe"
            ),
        ),
        why=Said("to run containers", "um Container laufen zu lassen"),
        until=Until.NEVER,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=("file.engine/**",),
        seen_by=(Viewer.OPERATOR,),
        about_a_person=False,
    ),
)
