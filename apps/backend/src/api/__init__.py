"""The gateway of the newsdesk: articles in, results out, over HTTP."""
