"""The tables of the newsdesk in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
    and_,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()

ARTICLES = Table(
    "articles",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("enqueued_at", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    comment="enqueued_at: put on the stream; settled_at: every agent has delivered a result or given up",
)

Index(
    "articles_to_enqueue",
    ARTICLES.c.seq,
    postgresql_where=and_(ARTICLES.c.enqueued_at.is_(None), ARTICLES.c.settled_at.is_(None)),
)
Index("articles_unsettled", ARTICLES.c.seq, postgresql_where=ARTICLES.c.settled_at.is_(None))

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("article_id", Text, ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True),
    Column("agent", Text, primary_key=True),
    Column("result", JSONB(none_as_null=True)),
    Column("error", Text),
    Column("delivered_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="one row per article and agent: either its result, or why it gave up",
)
