# Every target is a verb of ./dev; arguments go in ARGS: make up ARGS="--mode multi"
VERBS := up down status logs check test lint format types imports lock setup

.PHONY: $(VERBS)
$(VERBS):
	@python3 dev $@ $(ARGS)

.DEFAULT_GOAL := up
