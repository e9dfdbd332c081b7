"""Members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_members"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("password", sa.String(200), nullable=False),
        sa.Column("verification", sa.LargeBinary(32), nullable=True),
        sa.Column("verified_at", sa.DateTime, nullable=True),
        sa.Column("joined_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    op.drop_table("members")
