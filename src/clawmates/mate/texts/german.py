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
        "bewahren auf, was ihre eigenen Regeln sagen."
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
