"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("plan", sa.String(length=32), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pseudonym_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("leaving_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
    )
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_cancelled_at"), ["cancelled_at"], unique=False)

    op.create_table(
        "attempts",
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("what", sa.String(length=24), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("who", "what", "since", name=op.f("pk_attempts")),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempts_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "audit_entries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_entries")),
    )
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entries_subject"), ["subject"], unique=False)

    op.create_table(
        "audit_witnesses",
        sa.Column("chain", sa.String(length=8), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=24), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "number", name=op.f("pk_audit_witnesses")),
    )
    op.create_table(
        "bot_ends",
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("gone_after", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_bot_ends")),
    )
    with op.batch_alter_table("bot_ends", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_ends_node"), ["node"], unique=False)
        batch_op.create_index(batch_op.f("ix_bot_ends_reason"), ["reason"], unique=False)

    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("page_proof", sa.String(length=64), nullable=False),
        sa.Column("mail_proof", sa.String(length=64), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("vault", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("rewritten_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("log", sa.String(length=8), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sa.UniqueConstraint("account_id", name=op.f("uq_erasures_account_id")),
    )
    with op.batch_alter_table("erasures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_erasures_ends_at"), ["ends_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_erasures_mail_proof"), ["mail_proof"], unique=False)
        batch_op.create_index(batch_op.f("ix_erasures_page_proof"), ["page_proof"], unique=False)

    op.create_table(
        "errands",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("lane", sa.String(length=48), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_errands")),
    )
    with op.batch_alter_table("errands", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_errands_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_errands_lane"), ["lane"], unique=False)

    op.create_table(
        "nodes",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("drains", sa.Boolean(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("seen_revision", sa.BigInteger(), nullable=False),
        sa.Column("release", sa.String(length=71), nullable=False),
        sa.Column("report_run", sa.String(length=32), nullable=False),
        sa.Column("report_number", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nodes")),
    )
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_nodes_region"), ["region"], unique=False)
        batch_op.create_index(batch_op.f("ix_nodes_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "retention_jobs",
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_retention_jobs")),
    )
    op.create_table(
        "retention_runs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_retention_runs")),
    )
    with op.batch_alter_table("retention_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_retention_runs_began_at"), ["began_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_retention_runs_job"), ["job"], unique=False)

    op.create_table(
        "agreements",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_agreements_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "digest", name=op.f("pk_agreements")),
    )
    op.create_table(
        "bot_receipts",
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_bot_receipts_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_bot_receipts")),
    )
    with op.batch_alter_table("bot_receipts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_receipts_account_id"), ["account_id"], unique=False)

    op.create_table(
        "bots",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("temperature", sa.Double(), nullable=True),
        sa.Column("max_output_tokens", sa.Integer(), nullable=True),
        sa.Column("fallback_provider", sa.String(length=40), nullable=True),
        sa.Column("fallback_model", sa.String(length=120), nullable=True),
        sa.Column("limits", sa.Text(), nullable=False),
        sa.Column("access", sa.String(length=8), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_bots_account_id")),
        sa.ForeignKeyConstraint(["node"], ["nodes.name"], name=op.f("fk_bots_node")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bots")),
    )
    with op.batch_alter_table("bots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bots_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bots_node"), ["node"], unique=False)
        batch_op.create_index(batch_op.f("ix_bots_region"), ["region"], unique=False)
        batch_op.create_index(batch_op.f("ix_bots_stage"), ["stage"], unique=False)

    op.create_table(
        "challenges",
        sa.Column("proof", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_challenges_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("proof", name=op.f("pk_challenges")),
    )
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_challenges_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_challenges_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "email_changes",
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("old_confirmed", sa.Boolean(), nullable=False),
        sa.Column("new_confirmed", sa.Boolean(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_email_changes_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_email_changes")),
    )
    with op.batch_alter_table("email_changes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_email_changes_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "links",
        sa.Column("proof", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_links_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("proof", name=op.f("pk_links")),
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_links_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_links_email"), ["email"], unique=False)
        batch_op.create_index(batch_op.f("ix_links_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(length=1366), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=4096), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_passkeys_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
    )
    with op.batch_alter_table("passkeys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passkeys_account_id"), ["account_id"], unique=False)

    op.create_table(
        "sessions",
        sa.Column("proof", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("browser", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_sessions_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("proof", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sessions_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "bot_days",
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_days_bot_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("bot_id", "day", name=op.f("pk_bot_days")),
    )
    with op.batch_alter_table("bot_days", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_days_day"), ["day"], unique=False)

    op.create_table(
        "bot_errors",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_errors_bot_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_bot_errors")),
    )
    with op.batch_alter_table("bot_errors", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_errors_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_bot_errors_bot_id_at"), ["bot_id", "at"], unique=False)

    op.create_table(
        "bot_items",
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(length=32), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_items_bot_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("bot_id", "name", name=op.f("pk_bot_items")),
    )
    op.create_table(
        "bot_moves",
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_after", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_moves_bot_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["origin"], ["nodes.name"], name=op.f("fk_bot_moves_origin")),
        sa.ForeignKeyConstraint(["target"], ["nodes.name"], name=op.f("fk_bot_moves_target")),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_bot_moves")),
    )
    with op.batch_alter_table("bot_moves", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_moves_origin"), ["origin"], unique=False)

    op.create_table(
        "bot_pairings",
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_pairings_bot_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("salt", name=op.f("pk_bot_pairings")),
    )
    with op.batch_alter_table("bot_pairings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bot_pairings_bot_id"), ["bot_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bot_pairings_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "bot_states",
        sa.Column("bot_id", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("username", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bot_id"], ["bots.id"], name=op.f("fk_bot_states_bot_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("bot_id", name=op.f("pk_bot_states")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("bot_states")
    with op.batch_alter_table("bot_pairings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bot_pairings_ends_at"))
        batch_op.drop_index(batch_op.f("ix_bot_pairings_bot_id"))

    op.drop_table("bot_pairings")
    with op.batch_alter_table("bot_moves", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bot_moves_origin"))

    op.drop_table("bot_moves")
    op.drop_table("bot_items")
    with op.batch_alter_table("bot_errors", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bot_errors_bot_id_at"))
        batch_op.drop_index(batch_op.f("ix_bot_errors_at"))

    op.drop_table("bot_errors")
    with op.batch_alter_table("bot_days", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bot_days_day"))

    op.drop_table("bot_days")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sessions_ends_at"))
        batch_op.drop_index(batch_op.f("ix_sessions_account_id"))

    op.drop_table("sessions")
    with op.batch_alter_table("passkeys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passkeys_account_id"))

    op.drop_table("passkeys")
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_links_ends_at"))
        batch_op.drop_index(batch_op.f("ix_links_email"))
        batch_op.drop_index(batch_op.f("ix_links_account_id"))

    op.drop_table("links")
    with op.batch_alter_table("email_changes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_email_changes_ends_at"))

    op.drop_table("email_changes")
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_challenges_ends_at"))
        batch_op.drop_index(batch_op.f("ix_challenges_account_id"))

    op.drop_table("challenges")
    with op.batch_alter_table("bots", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bots_stage"))
        batch_op.drop_index(batch_op.f("ix_bots_region"))
        batch_op.drop_index(batch_op.f("ix_bots_node"))
        batch_op.drop_index(batch_op.f("ix_bots_account_id"))

    op.drop_table("bots")
    with op.batch_alter_table("bot_receipts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bot_receipts_account_id"))

    op.drop_table("bot_receipts")
    op.drop_table("agreements")
    with op.batch_alter_table("retention_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_retention_runs_job"))
        batch_op.drop_index(batch_op.f("ix_retention_runs_began_at"))

    op.drop_table("retention_runs")
    op.drop_table("retention_jobs")
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_nodes_seen_at"))
        batch_op.drop_index(batch_op.f("ix_nodes_region"))

    op.drop_table("nodes")
    with op.batch_alter_table("errands", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_errands_lane"))
        batch_op.drop_index(batch_op.f("ix_errands_due_at"))

    op.drop_table("errands")
    with op.batch_alter_table("erasures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_erasures_page_proof"))
        batch_op.drop_index(batch_op.f("ix_erasures_mail_proof"))
        batch_op.drop_index(batch_op.f("ix_erasures_ends_at"))

    op.drop_table("erasures")
    with op.batch_alter_table("bot_ends", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bot_ends_reason"))
        batch_op.drop_index(batch_op.f("ix_bot_ends_node"))

    op.drop_table("bot_ends")
    op.drop_table("audit_witnesses")
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entries_subject"))

    op.drop_table("audit_entries")
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attempts_ends_at"))

    op.drop_table("attempts")
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_cancelled_at"))

    op.drop_table("accounts")
