"""The seven rows of the mission page, in its order, its words and its retention."""

from __future__ import annotations

from datetime import timedelta

from clawmates.inventory.datum import Basis, Datum, Form, Said, Until, Viewer, item

COUNTS = timedelta(days=90)
ERRORS = timedelta(days=30)

PAGE: tuple[Datum, ...] = (
    Datum(
        id="account-email",
        what=Said("Account email", "E-Mail-Adresse des Kontos"),
        why=Said("Authentication and billing", "Anmeldung und Abrechnung"),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.CONTRACT,
        columns=("control.accounts.email",),
        seen_by=(Viewer.OWNER,),
        exported=True,
    ),
    Datum(
        id="subscription-status",
        what=Said("Subscription status", "Stand des Abos"),
        why=Said("Plan management", "Verwaltung des Tarifs"),
        until=Until.ACCOUNT_DELETED,
        basis=Basis.CONTRACT,
        columns=("control.accounts.plan",),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
    Datum(
        id="bot-token",
        what=Said("Bot token (encrypted)", "Bot-Token (verschlüsselt)"),
        why=Said("To run your bot", "Damit dein Bot läuft"),
        until=Until.BOT_DELETED,
        basis=Basis.CONTRACT,
        columns=item("channel-token"),
        seen_by=(Viewer.MATE, Viewer.VAULT, Viewer.MESSENGER),
        form=Form.SEALED,
    ),
    Datum(
        id="system-prompt",
        what=Said("System prompt", "System-Prompt"),
        why=Said("Your assistant's personality", "Der Charakter deines Assistenten"),
        until=Until.CHANGED,
        ends=Said("Until you change/delete it", "Bis du ihn änderst oder löschst"),
        basis=Basis.CONTRACT,
        columns=item("prompt"),
        seen_by=(Viewer.OWNER, Viewer.MATE, Viewer.VAULT, Viewer.PROVIDER),
        form=Form.SEALED,
        exported=True,
    ),
    Datum(
        id="model-preference",
        what=Said("AI model preference", "Gewähltes KI-Modell"),
        why=Said("To call the correct API", "Um die richtige API aufzurufen"),
        until=Until.CHANGED,
        basis=Basis.CONTRACT,
        columns=(
            "control.bots.provider",
            "control.bots.model",
            "control.bots.temperature",
            "control.bots.max_output_tokens",
            "control.bots.fallback_provider",
            "control.bots.fallback_model",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR, Viewer.NODE, Viewer.MATE, Viewer.PROVIDER),
        exported=True,
    ),
    Datum(
        id="message-count",
        what=Said("Message count (not content)", "Anzahl der Nachrichten (nicht ihr Inhalt)"),
        why=Said("Usage limits and billing", "Nutzungsgrenzen und Abrechnung"),
        until=Until.AGE,
        span=COUNTS,
        ends=Said("Rolling 90-day window", "Fortlaufend die letzten 90 Tage"),
        basis=Basis.CONTRACT,
        columns=(
            "control.bot_days.bot_id",
            "control.bot_days.day",
            "control.bot_days.messages",
            "control.bot_days.tokens",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
    Datum(
        id="error-logs",
        what=Said("Error logs (no message content)", "Fehlerprotokoll (ohne Inhalt von Nachrichten)"),
        why=Said("Debugging and reliability", "Fehlersuche und Zuverlässigkeit"),
        until=Until.AGE,
        span=ERRORS,
        basis=Basis.LEGITIMATE_INTEREST,
        columns=(
            "control.bot_errors.number",
            "control.bot_errors.bot_id",
            "control.bot_errors.at",
            "control.bot_errors.code",
        ),
        seen_by=(Viewer.OWNER, Viewer.OPERATOR),
        exported=True,
    ),
)
