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
        "messenger and the AI provider see what you write and keep what their own policies say.\n\n"
        "Where my owner lets in certain people only, the number of each at the messenger is kept in the vault, "
        "encrypted, until my owner removes the person or me; of my owner, also the language."
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
    stranger="I am a private assistant and talk only with people my owner has let in. You are not one of them yet.",
    stranger_code=(
        "I am a private assistant and talk only with people my owner has let in. If you were given a code, send it "
        "to me."
    ),
    stranger_privacy=(
        "We do not know each other, so I do nothing with what you write: nobody reads it, no AI gets it, and nothing "
        "of it is kept. In memory, until I am restarted, I remember your number at the messenger, so as not to repeat "
        "myself. The messenger keeps what its own policy says."
    ),
    code_wrong=(
        "This code does not let anybody in (any more). A code is good once and for an hour: please ask for a new one."
    ),
    code_later="Those were many tries. Please wait an hour, and then send the code once more.",
    code_known="You are in already; the code is not needed. Just write.",
    welcome_owner=(
        "Welcome. You are the first, so I take you for my owner: I tell you when something about me changes.\n\n"
        "Write anything, or /help."
    ),
    welcome=(
        "Welcome, you are in. What you write goes to the AI provider that my owner chose.\n\nWrite anything, or /help."
    ),
    people_full="My list of people is full. Please tell my owner.",
    changed="Something about me has changed.",
    changed_by_whom="Our conversation goes on. If this was not your doing, ask whoever runs me.",
    changes={
        "provider+model": "I now answer with `{model}` of `{provider}`.",
        "provider-key": "I have a new API key for the AI provider.",
        "fallback": "When it cannot answer, `{fallback}` does.",
        "fallback-key": "I have a new API key for the second AI provider.",
        "prompt": "I have new instructions.",
        "limits": "I have new limits: how much I may answer, and how long an answer may be.",
        "channel-token": "I have a new token at the messenger.",
        "access": "Who may talk to me: {access}.",
        "people": "So many people are on my list: {people}.",
    },
    taken_away={
        "fallback": "No other model answers any more when mine cannot.",
        "provider-key": "I use no API key any more.",
        "fallback-key": "The API key of the second AI provider is gone.",
        "prompt": "I have no instructions any more.",
        "channel-token": "I have no token at the messenger any more.",
    },
    accesses={
        "paired": "people with a code from my owner, and those my owner names",
        "list": "people my owner names",
        "open": "everybody who finds me",
    },
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
