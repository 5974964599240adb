# Everything a person or a build machine does here. Needs Python 3.11, git and make.
BIN := .venv/bin
NODES ?= 5
.PHONY: run test check format soak browser bench lock

run: ## start the demo city, NODES=18 or ROAD=nats; Ctrl-C stops it, its data stays
	@tools/setup $(if $(filter nats,$(ROAD)),nats,base)
	@exec $(BIN)/zhengtong demo --nodes $(NODES) --road $(or $(ROAD),https)

test: ## every test on SQLite, then those of the database on PostgreSQL; ARGS go to pytest
	@tools/setup test
	@$(BIN)/python tools/test $(ARGS)

check: ## style, types and the direction of imports
	@tools/setup test
	@$(BIN)/python tools/check $(ARGS)

format: ## put the code in the house's form
	@tools/setup test
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

soak: ## the long runs, on either engine
	@tools/setup test
	@$(BIN)/python tools/test -m "soak or long" $(ARGS)

browser: ## the story in a real browser, and all that tools/debian installs programs for
	@tools/setup test
	@tools/debian --check
	@$(BIN)/python -m pytest tests/browser tests/debian $(ARGS) && $(BIN)/python -m pytest -m debian $(ARGS)

bench: ## measure; prints a table and writes bench/latest.json
	@tools/setup test
	@tools/debian --check
	@$(BIN)/python -m bench $(ARGS)

lock: ## renew requirements/*.txt; UPGRADE=--upgrade takes newer versions
	@tools/setup test
	cd requirements && for set in base nats test uv; do ../$(BIN)/uv pip compile --quiet $(UPGRADE) \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  $$set.in -o $$set.txt || exit 1; done
