"""A few words of a member about themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_bio"
down_revision = "0001_members"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("members", sa.Column("bio", sa.String(500), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("members", "bio")
