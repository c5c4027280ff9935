# Two commands do everything: `make demo` runs the main job, `make test` the whole suite.
# The system's interpreter, which every user can run: functions run under users of their own.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV ?= .venv
BIN = $(VENV)/bin
KEEP ?=
# Where it is set (images of containers do), each of the suite's processes would compile the whole house.
unexport PYTHONDONTWRITEBYTECODE

# botocore's cases are in its source package alone: fetched once for each pinned version.
BOTOCORE = $(shell sed -n 's/^botocore==//p' constraints.txt)
CASES = $(VENV)/cases/botocore-$(BOTOCORE)/.ready

.PHONY: demo test check bench bench-table bench-growth bench-large bench-lateness bench-anatomy bench-bounds bench-idle bench-dynamodb alternator dynamodb-parity conformance s3-tests s3-clients dynamodb-clients lambda-clients soak soak-streams clean env

env: $(VENV)/.ready $(CASES)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(CASES): constraints.txt tools/cases.py | $(VENV)/.ready
	$(BIN)/python tools/cases.py $(VENV)/cases $(BOTOCORE)

demo: env
	$(BIN)/python examples/photo/demo.py $(if $(KEEP),--keep)

# Half of the suite waits for servers and processes: three at a time fill two cores.
# TESTS="tests/http tests/crash": a part of it.
test: env
	$(BIN)/python -m pytest -n 3 --dist loadfile $(TESTS)

check: env
	tools/check

bench: env
	$(BIN)/python benchmarks/main_job.py
	$(BIN)/python benchmarks/iam.py

# One table beside the machine's limits and beside peers: ARGS="--short" shows that it works.
bench-table: env
	$(BIN)/python benchmarks/table.py $(ARGS)

# ARGS="--whole": ten million items and a million objects, which takes an hour; "--bucket": objects only; "--table": items only.
bench-growth: env
	$(BIN)/python benchmarks/growth.py $(ARGS)

# An object of 5 GiB up and down, beside the disk and nginx.
bench-large: env
	$(BIN)/python benchmarks/large_object.py $(ARGS)

bench-lateness: env
	$(BIN)/python benchmarks/lateness.py $(ARGS)

# Memory at most, of every process: ARGS="--short" shows that it works, ARGS="--only NAME" runs one.
bench-bounds: env
	$(BIN)/python benchmarks/bounds.py $(ARGS)

# Items side by side with peers and raw commits: ARGS="--short" shows that it works.
bench-dynamodb: env
	$(BIN)/python benchmarks/dynamodb.py $(ARGS)

bench-idle: env
	$(BIN)/python benchmarks/idle.py $(ARGS)

# What each microsecond of a request is spent on: docs/speed.md. ARGS="--again" keeps what was less.
bench-anatomy: env
	$(BIN)/python benchmarks/anatomy.py $(ARGS)

# Ceph's public suite, brought by whoever runs it: SUITE=<checkout>, ARGS="-k WORDS" for a part.
s3-tests: env
	$(BIN)/python benchmarks/s3_tests.py $(SUITE) $(ARGS)

# Public suites of DynamoDB, brought by whoever runs them: SUITE=<checkout>.
dynamodb-parity: env
	$(BIN)/python benchmarks/dynamodb_parity.py $(SUITE) $(ARGS)

alternator: env
	$(BIN)/python benchmarks/alternator.py $(SUITE) $(ARGS)

# Programs of the field, installed first: needs Go, Java with Maven, Rust and Node.js; as root for
# Debian's packages. ARGS="--only NAME" runs one.
s3-clients: env
	$(BIN)/python benchmarks/s3_clients.py $(ARGS)

dynamodb-clients: env
	$(BIN)/python benchmarks/dynamodb_clients.py $(ARGS)

lambda-clients: env
	$(BIN)/python benchmarks/lambda_clients.py $(ARGS)

conformance: env
	$(BIN)/python benchmarks/protocols.py

soak: env
	$(BIN)/python -m pytest tests/crash tests/sim tests/fuzz tests/conformance/test_protocols.py --soak --session-timeout=604800 --timeout=14400

# 100,000 writes through a stream to a function, with a kill for each thousand: WRITES=2000 for fewer.
soak-streams: env
	$(BIN)/python -m pytest tests/crash/test_streams.py --soak --session-timeout=14400

clean:
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis
