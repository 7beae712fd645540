"""The services of the newsdesk: PostgreSQL, Redis and Neo4j, and what it keeps in them."""
