"""The closed vocabulary in which mates and services say what happened. No free text exists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

USERNAME = re.compile(r"[A-Za-z0-9_]{5,32}")


class Code(StrEnum):
    """What a mate can say about itself; :data:`REMEDY` says what an owner can do about it."""

    STARTING = "starting"
    LIVE = "live"
    OPENED = "opened"
    """It has opened what a ticket names; the number is the ticket's mark (:attr:`clawmates.wire.boot.Boot.mark`)."""
    STOPPING = "stopping"
    READY = "ready"
    """It could take over from the container before it, and asks for what that one remembers."""
    HEIR_REFUSED = "heir-refused"
    """Somebody who could not prove to be this bot's next container asked for what it remembers, in vain."""
    TICKET_WANTED = "ticket-wanted"
    """It has something to keep, and the vault has forgotten it or knows more: a new ticket, please."""
    PEOPLE_UNREADABLE = "people-unreadable"
    BOOT_INVALID = "boot-invalid"
    VAULT_UNREACHABLE = "vault-unreachable"
    TICKET_REFUSED = "ticket-refused"
    ITEM_MISSING = "item-missing"
    HOST_NOT_ALLOWED = "host-not-allowed"
    BAD_TOKEN = "bad-token"  # noqa: S105 - a code, not a secret
    SECOND_POLLER = "second-poller"
    CHANNEL_RATE_LIMITED = "channel-rate-limited"
    CHANNEL_UNREACHABLE = "channel-unreachable"
    CHANNEL_ERROR = "channel-error"
    PERSON_UNREACHABLE = "person-unreachable"
    BAD_KEY = "bad-key"
    NO_CREDIT = "no-credit"
    PROVIDER_RATE_LIMITED = "provider-rate-limited"
    UNKNOWN_MODEL = "unknown-model"
    TOO_LONG = "too-long"
    FILTERED = "filtered"
    PROVIDER_OVERLOADED = "provider-overloaded"
    PROVIDER_UNREACHABLE = "provider-unreachable"
    PROVIDER_ERROR = "provider-error"
    REGION_NOT_ALLOWED = "region-not-allowed"
    OVER_QUOTA = "over-quota"
    GAVE_UP = "gave-up"
    TIMED_OUT = "timed-out"
    INTERNAL = "internal"


PASSING = frozenset(
    {
        Code.CHANNEL_RATE_LIMITED,
        Code.PERSON_UNREACHABLE,
        Code.PROVIDER_RATE_LIMITED,
        Code.PROVIDER_OVERLOADED,
        Code.TOO_LONG,
        Code.FILTERED,
        Code.OVER_QUOTA,
        Code.GAVE_UP,
        Code.TIMED_OUT,
        Code.HEIR_REFUSED,
    }
)
"""What went wrong with one message, or passes by itself: an event, and nothing about the bot."""
LASTING = frozenset(
    {
        Code.BOOT_INVALID,
        Code.VAULT_UNREACHABLE,
        Code.TICKET_REFUSED,
        Code.ITEM_MISSING,
        Code.PEOPLE_UNREADABLE,
        Code.HOST_NOT_ALLOWED,
        Code.BAD_TOKEN,
        Code.SECOND_POLLER,
        Code.CHANNEL_UNREACHABLE,
        Code.CHANNEL_ERROR,
        Code.BAD_KEY,
        Code.NO_CREDIT,
        Code.UNKNOWN_MODEL,
        Code.PROVIDER_UNREACHABLE,
        Code.PROVIDER_ERROR,
        Code.REGION_NOT_ALLOWED,
        Code.INTERNAL,
    }
)
"""What is wrong with the bot until it says :attr:`Code.LIVE` again, which it does after a turn that ended well."""


class Trouble(StrEnum):
    """Why node does not run a bot, or runs no bots at all."""

    ENGINE_MISSING = "engine-missing"
    ENGINE_FAILED = "engine-failed"
    NO_USER_NAMESPACES = "no-user-namespaces"
    ISOLATION_WEAK = "isolation-weak"
    RELEASE_UNSIGNED = "release-unsigned"
    RELEASE_MISSING = "release-missing"
    IMAGE_MISSING = "image-missing"
    UNKNOWN_PROVIDER = "unknown-provider"
    UNKNOWN_MODEL = "unknown-model"
    UNKNOWN_CHANNEL = "unknown-channel"
    GATEWAY_DOWN = "gateway-down"
    VAULT_DOWN = "vault-down"
    CONTROL_DOWN = "control-down"
    TICKET_DENIED = "ticket-denied"
    DESIRED_INVALID = "desired-invalid"
    DISK_FULL = "disk-full"
    CRASHING = "crashing"
    FROZEN = "frozen"
    LEASE_ENDED = "lease-ended"
    CERTIFICATE_REVOKED = "certificate-revoked"
    AUDIT_DIVERGED = "audit-diverged"
    NOT_REPLACED = "not-replaced"
    RELEASE_REFUSED = "release-refused"
    RELEASE_STOPPED = "release-stopped"


REMEDY: dict[str, str] = {
    Code.HEIR_REFUSED: "A container that could not prove to be this bot's asked for its memory and got nothing.",
    Code.BOOT_INVALID: "The container's boot folder is damaged: run `clawmates restart`.",
    Code.VAULT_UNREACHABLE: "The vault does not answer: see `clawmates status` and `clawmates logs`.",
    Code.TICKET_REFUSED: "The vault refused the ticket; a new one is tried by itself.",
    Code.ITEM_MISSING: "The vault lacks a credential of this bot: give it with `clawmates bot add --bot NAME`.",
    Code.PEOPLE_UNREADABLE: ("The list of people cannot be read, so nobody is let in: see `clawmates bot people BOT`."),
    Code.HOST_NOT_ALLOWED: "The gateway refused a host: the release's catalogue does not list it.",
    Code.BAD_TOKEN: "Telegram refused the bot token: give the right one with `clawmates bot add --bot NAME`.",
    Code.SECOND_POLLER: "Another program polls the same bot token: stop it, or revoke the token at @BotFather.",
    Code.CHANNEL_RATE_LIMITED: "The messenger asked for a pause; the bot goes on by itself.",
    Code.CHANNEL_UNREACHABLE: "The messenger cannot be reached: check this machine's way to the internet.",
    Code.CHANNEL_ERROR: "The messenger answered with an error; the bot tries again by itself.",
    Code.PERSON_UNREACHABLE: "A person has blocked the bot or left; nothing to do.",
    Code.BAD_KEY: "The AI provider refused the API key: give another with `clawmates bot add --bot NAME`.",
    Code.NO_CREDIT: "The AI provider says the account has no credit: top it up there.",
    Code.PROVIDER_RATE_LIMITED: "The AI provider asked for a pause; try a little later.",
    Code.UNKNOWN_MODEL: "The AI provider does not know this model, or the key may not use it: choose another.",
    Code.TOO_LONG: "The conversation is longer than the model takes: /new starts afresh.",
    Code.FILTERED: "The AI provider's own filter refused the message.",
    Code.PROVIDER_OVERLOADED: "The AI provider is overloaded; try a little later.",
    Code.PROVIDER_UNREACHABLE: "The AI provider cannot be reached: check this machine's way to the internet.",
    Code.PROVIDER_ERROR: "The AI provider answered with an error; try a little later.",
    Code.REGION_NOT_ALLOWED: "The AI provider does not serve this region.",
    Code.OVER_QUOTA: "The quota of this bot is used up; it resets with the UTC day or month.",
    Code.GAVE_UP: "A message crashed the bot twice and was given up.",
    Code.TIMED_OUT: "A reply took too long and was given up.",
    Code.INTERNAL: "An error in the bot itself: please report it with the line of `clawmates logs`.",
    Trouble.ENGINE_MISSING: "Podman or its runtime is missing: run `clawmates doctor`.",
    Trouble.ENGINE_FAILED: "The container engine refused to start the container: run `clawmates doctor`.",
    Trouble.NO_USER_NAMESPACES: "The kernel gives no user namespaces: run `clawmates doctor`.",
    Trouble.ISOLATION_WEAK: "The container was weaker than asked and was killed: run `clawmates doctor`.",
    Trouble.RELEASE_UNSIGNED: "The release's signature does not match [node] release_key: run `make image` again.",
    Trouble.RELEASE_MISSING: "There is no release in the state folder: run `make image`.",
    Trouble.IMAGE_MISSING: "The release's image is not there or not the one signed: run `make image`.",
    Trouble.UNKNOWN_PROVIDER: "The release's catalogue has no such provider: choose one it lists.",
    Trouble.UNKNOWN_CHANNEL: "The release's catalogue has no such channel: choose one it lists.",
    Trouble.GATEWAY_DOWN: "The gateway does not answer: it is being restarted.",
    Trouble.VAULT_DOWN: "The vault does not answer: running bots go on, new ones wait.",
    Trouble.CONTROL_DOWN: "Control does not answer: running bots go on, and nothing changes until it is back.",
    Trouble.TICKET_DENIED: "The vault does not know this bot or these versions: run `clawmates bot add --bot NAME`.",
    Trouble.DESIRED_INVALID: "desired.json cannot be read; the last good one stays in force.",
    Trouble.DISK_FULL: "The disk is full: make room, the bot starts by itself.",
    Trouble.CRASHING: "The container keeps dying; it is started again with growing pauses.",
    Trouble.FROZEN: "A ticket of this bot was used twice: see `clawmates logs`, then `clawmates vault unfreeze BOT`.",
    Trouble.LEASE_ENDED: "This node's lease of the bot has ended: the bot must be assigned to it again.",
    Trouble.CERTIFICATE_REVOKED: "This node's certificate was revoked: enrol it again with `clawmates node enrol`.",
    Trouble.RELEASE_REFUSED: "No bot came to life with the new release: all run the last good one; a newer is tried.",
    Trouble.RELEASE_STOPPED: "A bot did not come to life with the new release: pause it, or install another release.",
    Trouble.NOT_REPLACED: "The new container did not come up, so the one before it goes on; tried again by itself.",
    Trouble.AUDIT_DIVERGED: "The vault's audit chain is not the one node has signed: run `clawmates audit verify`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """All that a mate can say. ``number`` is seconds to wait, an HTTP status or a source line."""

    code: Code
    number: int = 0
    username: str = ""
    life: int = 0
    """The generation of the container that says it; 0 where a mate of before says nothing of it."""

    def __post_init__(self) -> None:
        if self.username and not USERNAME.fullmatch(self.username):
            raise ValueError("not a username")
        if not 0 <= self.life < 1 << 53:
            raise ValueError("life out of range")
        if not 0 <= self.number < 1 << 31:
            raise ValueError("number out of range")
