"""The agents of the newsdesk: each reads articles from a stream and adds what it finds out."""
