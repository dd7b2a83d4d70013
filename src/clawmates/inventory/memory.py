"""What is only in memory and on no disk, but a person would ask about."""

from __future__ import annotations

from clawmates.inventory.datum import Basis, Datum, Form, Said, Until, Viewer

MEMORY: tuple[Datum, ...] = (
    Datum(
        id="conversation",
        what=Said(
            "the conversation that a bot is in, as far back as its window goes",
            "das Gespräch, in dem ein Bot ist, so weit sein Fenster zurückreicht",
        ),
        why=Said("so that it knows what you are talking about", "damit er weiß, worum es geht"),
        until=Until.USED,
        ends=Said(
            "Until it rests, you send /new or it stops; never on a disk",
            "Bis es ruht, du /new schickst oder er stoppt; nie auf einer Platte",
        ),
        basis=Basis.CONTRACT,
        columns=("ram.mate.conversation",),
        seen_by=(Viewer.OWNER, Viewer.MATE, Viewer.PROVIDER, Viewer.MESSENGER),
    ),
    Datum(
        id="opened-items",
        what=Said(
            "what a bot's container has opened: token, keys, prompt, people",
            "was der Container eines Bots geöffnet hat: Token, Schlüssel, Prompt, Personen",
        ),
        why=Said("to run your bot", "damit dein Bot läuft"),
        until=Until.USED,
        ends=Said("Until the container stops", "Bis der Container stoppt"),
        basis=Basis.CONTRACT,
        columns=(
            "ram.mate.items",
            "ram.vault.opened",
        ),
        seen_by=(Viewer.MATE,),
    ),
    Datum(
        id="turns",
        what=Said(
            "hashes of the numbers of messages that are being or were answered, and counts of the day and month",
            "Hashes der Nummern von Nachrichten, die beantwortet werden oder wurden, und Zähler von Tag und Monat",
        ),
        why=Said(
            "so that each is answered once, and quotas hold", "damit jede einmal beantwortet wird und Grenzen halten"
        ),
        until=Until.USED,
        ends=Said("Until the gateway restarts; hashes for 25 hours", "Bis das Gateway neu startet; Hashes 25 Stunden"),
        basis=Basis.CONTRACT,
        columns=(
            "ram.gateway.turns",
            "ram.gateway.counts",
        ),
        seen_by=(Viewer.OPERATOR,),
        form=Form.HASH,
    ),
    Datum(
        id="connections",
        what=Said(
            "which bot talks to which host right now, never what",
            "welcher Bot gerade mit welchem Server redet, nie was",
        ),
        why=Said(
            "to carry its bytes to hosts that it may talk to",
            "um seine Bytes zu Servern zu tragen, mit denen er reden darf",
        ),
        until=Until.USED,
        ends=Said("Until the connection ends", "Bis die Verbindung endet"),
        basis=Basis.CONTRACT,
        columns=(
            "ram.gateway.tunnels",
            "ram.gateway.allow-lists",
        ),
        seen_by=(Viewer.NODE,),
    ),
    Datum(
        id="node-desired",
        what=Said(
            "the copy of what a host should run, as control told it last",
            "die Abschrift dessen, was eine Maschine laufen lassen soll, wie sie es zuletzt gehört hat",
        ),
        why=Said("so that bots go on while control is away", "damit Bots weiterlaufen, während die Verwaltung weg ist"),
        until=Until.USED,
        ends=Said(
            "Until the host hears of the next state, or restarts",
            "Bis die Maschine vom nächsten Stand hört oder neu startet",
        ),
        basis=Basis.CONTRACT,
        columns=("ram.node.desired",),
        seen_by=(Viewer.NODE,),
    ),
    Datum(
        id="leases",
        what=Said("until when a host may run which bot", "bis wann eine Maschine welchen Bot laufen lassen darf"),
        why=Said("so that a bot never runs twice", "damit ein Bot nie zweimal läuft"),
        until=Until.USED,
        ends=Said("Until the lease ends", "Bis die Frist endet"),
        basis=Basis.CONTRACT,
        columns=("ram.node.leases",),
        seen_by=(Viewer.NODE,),
    ),
    Datum(
        id="reports",
        what=Said(
            "counts and states that a host has not yet told control",
            "Zähler und Zustände, die eine Maschine der Verwaltung noch nicht gesagt hat",
        ),
        why=Said("so that each count is told once", "damit jeder Zähler einmal gesagt wird"),
        until=Until.USED,
        ends=Said("Until they are told", "Bis sie gesagt sind"),
        basis=Basis.CONTRACT,
        columns=("ram.node.told",),
        seen_by=(Viewer.NODE,),
    ),
    Datum(
        id="tickets",
        what=Said(
            "single-use rights of a container to open its items, as hashes at the vault",
            "einmalige Rechte eines Containers, seine Sachen zu öffnen, beim Tresor als Hashes",
        ),
        why=Said("so that only your bot's container opens them", "damit nur der Container deines Bots sie öffnet"),
        until=Until.USED,
        ends=Said("Until it is used, or a few minutes", "Bis es benutzt ist, oder wenige Minuten"),
        basis=Basis.CONTRACT,
        columns=(
            "ram.node.boot",
            "ram.vault.tickets",
            "ram.vault.sessions",
        ),
        seen_by=(Viewer.NODE, Viewer.MATE),
        form=Form.HASH,
    ),
)
