"""Every sentence that a person sees, in one place."""

from __future__ import annotations

from clawmates.wire.codes import Code

START = (
    "Hello. I am your assistant, in a container of my own. What you write goes to the AI provider that my owner "
    "chose and comes straight back; nothing of it is stored on the way.\n\nWrite anything, or /help."
)
HELP = (
    "Write a message and I answer it.\n\n/new: forget this conversation and start afresh\n"
    "/privacy: what happens to what you write\n/help: this list"
)
NEW = "Forgotten. We start afresh."
PRIVACY = (
    "Your messages live in the memory of my container while we talk: they are forgotten after a day of silence, "
    "on /new, and whenever I am restarted. Nothing of them is written to disk or logged. The messenger and the AI "
    "provider see what you write and keep what their own policies say."
)
TEXT_ONLY = "I can only read text so far. Could you write it?"
EMPTY_ANSWER = "The AI provider sent an empty answer. Please try once more."
CUT_AT_LENGTH = "\n\n[The answer reached its greatest length.]"
COMMANDS = {"/start": START, "/help": HELP, "/privacy": PRIVACY}

_BY_CODE = {
    Code.BAD_KEY: "My AI provider refused my key. My owner has been told.",
    Code.NO_CREDIT: "My account with the AI provider has run out of credit. My owner has been told.",
    Code.PROVIDER_RATE_LIMITED: "The AI provider asks for a short pause. Please try again in a minute.",
    Code.UNKNOWN_MODEL: "My AI provider does not offer the model I was given. My owner has been told.",
    Code.TOO_LONG: "This conversation has become too long for the model. /new starts afresh.",
    Code.FILTERED: "The AI provider declined to answer this.",
    Code.PROVIDER_OVERLOADED: "The AI provider is very busy right now. Please try again in a little while.",
    Code.PROVIDER_UNREACHABLE: "I cannot reach my AI provider right now. Please try again in a little while.",
    Code.REGION_NOT_ALLOWED: "My AI provider does not serve this region. My owner has been told.",
    Code.OVER_QUOTA: "The messages of this bot are used up for now. Please come back later.",
    Code.GAVE_UP: "I could not answer this message, after several tries. Please put it differently.",
    Code.TIMED_OUT: "This answer took too long and I gave up. Please try again.",
}
_OTHERWISE = "Something went wrong and I could not answer. Please try again."


def for_code(code: Code) -> str:
    """What to tell a person when a message could not be answered."""
    return _BY_CODE.get(code, _OTHERWISE)
