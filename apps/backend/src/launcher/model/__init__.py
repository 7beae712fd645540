"""Values: what is declared, what is, what happened and what is asked for. Frozen, without behaviour beyond validation."""
