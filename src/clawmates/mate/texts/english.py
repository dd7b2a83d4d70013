"""The catalogue in English."""

from __future__ import annotations

from clawmates.mate.texts import Texts
from clawmates.wire.codes import Code

ENGLISH = Texts(
    start=(
        "Hello. I am your assistant, in a container of my own. What you write goes to the AI provider that my owner "
        "chose and comes straight back; nothing of it is stored on the way.\n\nWrite anything, or /help."
    ),
    help=(
        "Write a message and I answer it. You can reply to a message to ask about it, and edit a question while I "
        "answer."
    ),
    new="Forgotten. We start afresh.",
    nothing_to_stop="I am not writing anything right now.",
    privacy=(
        "Your messages live in the memory of my container while we talk: they are forgotten after a day of silence, "
        "on /new, when you block me, and whenever I am restarted. Nothing of them is written to disk or logged. The "
        "messenger and the AI provider see what you write and keep what their own policies say."
    ),
    model="I answer with {model}, reached at {host}. My owner chose it.",
    usage=(
        "In this chat, since I was last started:\n\n- answers: {messages}\n- tokens read: {input_tokens}\n"
        "- tokens written: {output_tokens}\n\nTokens are as the AI provider counts them; for answers you stopped, "
        "about."
    ),
    menu={
        "new": "Forget this conversation and start afresh",
        "stop": "Stop the answer I am writing",
        "model": "Which AI model answers",
        "usage": "What this chat has used",
        "privacy": "What happens to what you write",
        "help": "What I can do",
        "start": "Say hello",
    },
    text_only="I can only read text so far. Could you write it?",
    empty_answer="The AI provider sent an empty answer. Please try once more.",
    cut_at_length="\n\n[The answer reached its greatest length.]",
    stopped="[Stopped.]",
    forgotten="[I was restarted and remember nothing of what we said before this message.]",
    codes={
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
    },
    otherwise="Something went wrong and I could not answer. Please try again.",
)
