"""The catalogue in German."""

from __future__ import annotations

from clawmates.mate.texts import Texts
from clawmates.wire.codes import Code

GERMAN = Texts(
    start=(
        "Hallo. Ich bin dein Assistent, in einem eigenen Container. Was du schreibst, geht an den KI-Anbieter, den "
        "mein Besitzer gewählt hat, und kommt geradewegs zurück; unterwegs wird nichts davon gespeichert.\n\n"
        "Schreib irgendetwas, oder /help."
    ),
    help=(
        "Schreib eine Nachricht, und ich antworte. Du kannst auf eine Nachricht antworten, um nach ihr zu fragen, und "
        "eine Frage noch ändern, während ich antworte."
    ),
    new="Vergessen. Wir fangen neu an.",
    nothing_to_stop="Ich schreibe gerade nichts.",
    privacy=(
        "Deine Nachrichten liegen im Arbeitsspeicher meines Containers, solange wir reden: Sie sind vergessen nach "
        "einem Tag Stille, bei /new, wenn du mich blockierst und sobald ich neu gestartet werde. Nichts davon wird auf "
        "eine Platte geschrieben oder protokolliert. Der Messenger und der KI-Anbieter sehen, was du schreibst, und "
        "bewahren auf, was ihre eigenen Regeln sagen.\n\n"
        "Lässt mein Besitzer nur bestimmte Leute herein, dann liegt von jedem die Nummer beim Messenger verschlüsselt "
        "im Tresor, bis mein Besitzer den Menschen oder mich entfernt; von meinem Besitzer auch die Sprache."
    ),
    model="Ich antworte mit {model}, erreicht unter {host}. Mein Besitzer hat es gewählt.",
    usage=(
        "In diesem Chat, seit meinem letzten Start:\n\n- Antworten: {messages}\n- gelesene Token: {input_tokens}\n"
        "- geschriebene Token: {output_tokens}\n\nToken sind so gezählt, wie der KI-Anbieter sie zählt; für Antworten, "
        "die du abgebrochen hast, ungefähr."
    ),
    menu={
        "new": "Dieses Gespräch vergessen und neu anfangen",
        "stop": "Die Antwort abbrechen, die ich gerade schreibe",
        "model": "Welches KI-Modell antwortet",
        "usage": "Was dieser Chat verbraucht hat",
        "privacy": "Was mit dem geschieht, was du schreibst",
        "help": "Was ich kann",
        "start": "Hallo sagen",
    },
    text_only="Ich kann bisher nur Text lesen. Schreibst du es mir?",
    empty_answer="Der KI-Anbieter hat eine leere Antwort geschickt. Bitte versuch es noch einmal.",
    cut_at_length="\n\n[Die Antwort hat ihre größte Länge erreicht.]",
    stopped="[Abgebrochen.]",
    forgotten="[Ich wurde neu gestartet und weiß nichts mehr von dem, was wir vor dieser Nachricht gesagt haben.]",
    stranger=(
        "Ich bin ein privater Assistent und rede nur mit Leuten, die mein Besitzer zugelassen hat. Du bist noch nicht "
        "dabei."
    ),
    stranger_code=(
        "Ich bin ein privater Assistent und rede nur mit Leuten, die mein Besitzer zugelassen hat. Hast du einen Code "
        "bekommen, dann schick ihn mir."
    ),
    stranger_privacy=(
        "Wir kennen uns nicht, darum mache ich nichts mit dem, was du schreibst: Niemand liest es, keine KI bekommt "
        "es, und nichts davon wird aufbewahrt. Im Arbeitsspeicher, bis zu meinem nächsten Start, merke ich mir deine "
        "Nummer beim Messenger, um mich nicht zu wiederholen. Der Messenger bewahrt auf, was seine Regeln sagen."
    ),
    code_wrong=(
        "Dieser Code lässt niemanden (mehr) herein. Ein Code gilt einmal und eine Stunde lang: Bitte lass dir einen "
        "neuen geben."
    ),
    code_later="Das waren viele Versuche. Bitte warte eine Stunde und schick den Code dann noch einmal.",
    code_known="Du bist schon dabei, der Code ist nicht nötig. Schreib einfach.",
    welcome_owner=(
        "Willkommen. Du bist der erste Mensch hier, also gehöre ich dir: Ich sage dir Bescheid, wenn sich an mir "
        "etwas ändert.\n\nSchreib irgendetwas, oder /help."
    ),
    welcome=(
        "Willkommen, du bist dabei. Was du schreibst, geht an den KI-Anbieter, den mein Besitzer gewählt hat.\n\n"
        "Schreib irgendetwas, oder /help."
    ),
    people_full="Meine Liste ist voll. Bitte sag meinem Besitzer Bescheid.",
    changed="An mir hat sich etwas geändert.",
    changed_by_whom="Unser Gespräch geht weiter. Warst du das nicht, dann frag, wer mich betreibt.",
    changes={
        "provider+model": "Ich antworte jetzt mit `{model}` von `{provider}`.",
        "provider-key": "Ich habe einen neuen API-Schlüssel für den KI-Anbieter.",
        "fallback": "Kann es nicht antworten, dann tut es `{fallback}`.",
        "fallback-key": "Ich habe einen neuen API-Schlüssel für den zweiten KI-Anbieter.",
        "prompt": "Ich habe neue Anweisungen.",
        "limits": "Ich habe neue Grenzen: wie viel ich antworten darf und wie lang eine Antwort sein darf.",
        "channel-token": "Ich habe ein neues Token beim Messenger.",
        "access": "Mit mir reden dürfen jetzt: {access}.",
        "people": "So viele Leute stehen auf meiner Liste: {people}.",
    },
    taken_away={
        "fallback": "Wenn mein Modell nicht antworten kann, springt kein anderes mehr ein.",
        "provider-key": "Ich benutze keinen API-Schlüssel mehr.",
        "fallback-key": "Der API-Schlüssel des zweiten KI-Anbieters ist weg.",
        "prompt": "Ich habe keine Anweisungen mehr.",
        "channel-token": "Ich habe kein Token beim Messenger mehr.",
    },
    accesses={
        "paired": "Leute mit einem Code von meinem Besitzer und Leute, die mein Besitzer nennt",
        "list": "Leute, die mein Besitzer nennt",
        "open": "alle, die mich finden",
    },
    codes={
        Code.BAD_KEY: "Mein KI-Anbieter hat meinen Schlüssel abgelehnt. Mein Besitzer weiß Bescheid.",
        Code.NO_CREDIT: "Mein Konto beim KI-Anbieter ist leer. Mein Besitzer weiß Bescheid.",
        Code.PROVIDER_RATE_LIMITED: "Der KI-Anbieter bittet um eine kurze Pause. Bitte versuch es in einer Minute.",
        Code.UNKNOWN_MODEL: "Mein KI-Anbieter hat das Modell nicht, das ich nutzen soll. Mein Besitzer weiß Bescheid.",
        Code.TOO_LONG: "Dieses Gespräch ist zu lang für das Modell geworden. /new fängt neu an.",
        Code.FILTERED: "Der KI-Anbieter wollte darauf nicht antworten.",
        Code.PROVIDER_OVERLOADED: "Der KI-Anbieter ist gerade sehr ausgelastet. Bitte versuch es bald wieder.",
        Code.PROVIDER_UNREACHABLE: "Ich erreiche meinen KI-Anbieter gerade nicht. Bitte versuch es bald wieder.",
        Code.REGION_NOT_ALLOWED: "Mein KI-Anbieter bedient diese Region nicht. Mein Besitzer weiß Bescheid.",
        Code.OVER_QUOTA: "Die Nachrichten dieses Bots sind vorerst aufgebraucht. Bitte komm später wieder.",
        Code.GAVE_UP: "Ich konnte diese Nachricht auch nach mehreren Versuchen nicht beantworten. Bitte frag anders.",
        Code.TIMED_OUT: "Diese Antwort hat zu lange gedauert, ich habe aufgegeben. Bitte versuch es noch einmal.",
    },
    otherwise="Etwas ist schiefgegangen, und ich konnte nicht antworten. Bitte versuch es noch einmal.",
)
