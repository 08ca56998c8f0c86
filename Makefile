# Everything a person or CI runs; each target sets up what it needs. PYTHON=python3.13 uses another interpreter.
PYTHON ?= python3
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
ROOMS := wire proxy policy

FUZZ_SECONDS ?= 1200
export PIP_RETRIES ?= 10

.PHONY: serve test style types suite compiled bulk browser reliability bench conformance lanes docs fuzz lock clean packages

serve: $(VENV)/.runtime ; $(BIN)/pyproxy serve
test: style types suite
style: $(VENV)/.dev ; $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports
types: $(VENV)/.dev ; $(BIN)/mypy
suite: $(VENV)/.dev packages ; scripts/run-suite $(BIN)
bulk: $(VENV)/.dev ; $(BIN)/pytest tests/bulk --override-ini timeout=1200
# The inspector in headless Chromium; draws docs/inspector.png.
browser: $(VENV)/.dev ; scripts/install-packages chromium fonts-dejavu-core && $(BIN)/pytest tests/browser
# Prints a table of figures beside Envoy's; TABLE=docs/reliability.md writes it, K=r22 runs some of the tests.
reliability: $(VENV)/.dev packages
	scripts/install-packages libfaketime
	$(BIN)/pip install -q atheris==3.0.0 || echo "no atheris for this machine: R28 will be skipped"
	$(BIN)/pytest tests/reliability -v $(if $(K),-k "$(K)") $(if $(TABLE),--write-table $(TABLE))
# Twenty minutes, and two with SHORT=--short; COMPARE=FILE says what has changed since an earlier results.json. -k, --rounds: ARGS=.
bench: $(VENV)/.dev .venv-bench/.peers .venv-compiled/.wheel packages
	scripts/install-packages nghttp2-client
	$(BIN)/python -m benchmarks $(SHORT) $(if $(COMPARE),--compare $(COMPARE)) $(ARGS)
conformance: $(VENV)/.dev ; $(BIN)/pyproxy conformance && $(BIN)/pyproxy conformance $(foreach corpus,tests/corpus $(wildcard ../shared/corpus),--corpus $(corpus))
# The fast lane beside the slow one, a million examples together; a quarter of an hour on two cores that have nothing else to do.
lanes: $(VENV)/.dev ; PYPROXY_FAST_LANE_EXAMPLES=340000 $(BIN)/pytest tests/wire/test_fast.py --override-ini timeout=0
docs: $(VENV)/.dev packages
	$(BIN)/pyproxy fields -o markdown > docs/fields.md
	$(BIN)/python -m pyproxy.conformance.document
	$(BIN)/python -m tests.support.transcript
fuzz: $(VENV)/.dev ; $(BIN)/pip install -q atheris==3.0.0 && for target in requests responses chunks prefaces lanes; do $(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS) || exit; done
# The suites that run where the data path is compiled, in a copy of the tree; and Envoy's verdict on it.
compiled: $(VENV)/.dev packages
	scripts/compiled-tree $(abspath $(BIN))/python build/compiled 3
	cd build/compiled && $(abspath $(BIN))/pytest tests/wire tests/proxy tests/observe tests/net tests/server tests/e2e -m "not interpreted"
	cd build/compiled && $(abspath $(BIN))/python -m pyproxy conformance
	cd build/compiled && $(abspath $(BIN))/python -m pyproxy conformance $(foreach corpus,tests/corpus $(wildcard $(abspath ../shared/corpus)),--corpus $(corpus))
packages: ; scripts/install-packages curl gcc haproxy iproute2 libc6-dev libnginx-mod-stream nginx-light procps python3-dev wrk
	command -v kubectl >/dev/null || scripts/install-packages kubernetes-client
lock: ; uv pip compile --no-strip-extras --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements.lock pyproject.toml && uv pip compile --no-strip-extras --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra dev --extra envoy -o requirements-dev.lock pyproject.toml && uv pip compile --no-strip-extras --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -o benchmarks/requirements.lock benchmarks/requirements.in
clean: ; rm -rf .venv .venv-* build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

$(VENV)/.venv: ; scripts/make-venv $(PYTHON) $(VENV) && touch $@
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.venv ; $(BIN)/pip install -q --require-hashes -r requirements.lock && $(BIN)/pip install -q --no-deps -e . && touch $@
$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.venv ; $(BIN)/pip install -q --require-hashes -r requirements-dev.lock && $(BIN)/pip install -q --no-deps -e . && touch $@
.venv-bench/.peers: benchmarks/requirements.lock ; scripts/make-venv $(PYTHON) .venv-bench && .venv-bench/bin/pip install -q --require-hashes -r benchmarks/requirements.lock && touch $@
.venv-compiled/.wheel: requirements.lock pyproject.toml hatch_build.py scripts/compile_data_path.py $(shell find pyproxy -name '*.py')
	scripts/install-packages gcc libc6-dev python3-dev
	scripts/make-venv $(PYTHON) .venv-compiled && .venv-compiled/bin/pip install -q --require-hashes -r requirements.lock
	HATCH_BUILD_HOOKS_ENABLE=1 .venv-compiled/bin/pip install -q --no-deps --force-reinstall . && touch $@
