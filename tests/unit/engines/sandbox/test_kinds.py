"""Which functions a waiting runtime may become: those that could not tell the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.unit.engines.sandbox.test_environment import spec_of

from fogbank.engines.sandbox.kinds import extended, kind_of
from fogbank.engines.sandbox.programs import Program
from fogbank.engines.sandbox.stem import Kind
from fogbank.engines.sandbox.variables import ROOTS

NODE = Program(
    "node",
    candidates=("/usr/bin/node",),
    arguments=("--max-old-space-size={heap}", "{here}/node.cjs"),
    waiting=("--max-old-space-size={heap}", "{here}/node.cjs", "stem"),
    heap_percent=90,
    read_at_boot=("NODE_", "LD_"),
)


def kind(trust: dict[str, str] | None = None, program: Program | None = NODE, **values: Any) -> Any:
    spec = structs.replace(spec_of(Path("/code")), **values)
    return kind_of(spec, "nodejs20.x", program, trust or {})


def test_a_stem_knows_nothing_of_a_function_but_whose_it_will_be_and_how_large() -> None:
    found = kind(environment={"SECRET": "s", "TZ": "Asia/Tokyo"}, function_name="mine")
    assert isinstance(found, Kind)
    assert found == kind(handler="other.handler", code_dir="/other", version="7")
    assert "SECRET" not in dict(found.environment)
    assert dict(found.environment)["TZ"] == ":UTC"
    assert found.arguments[0] == f"--max-old-space-size={128 * 9 // 10}"
    assert found != kind(account="210987654321")
    assert found != kind(memory_mb=256)


@pytest.mark.parametrize("name", ["NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "LD_PRELOAD"])
def test_variables_that_count_at_boot_find_no_stem(name: str) -> None:
    assert kind(environment={name: "x"}) is None
    assert kind(environment={name: "x"}, trust={name: "x"}) is not None
    assert kind(environment={name: "y"}, trust={name: "x"}) is None


def test_what_every_function_trusts_is_there_at_boot() -> None:
    assert (
        dict(kind({"NODE_EXTRA_CA_CERTS": "/a.pem"}).environment)["NODE_EXTRA_CA_CERTS"] == "/a.pem"
    )


def test_programs_that_cannot_wait_and_external_extensions_find_no_stem(tmp_path: Path) -> None:
    assert kind(program=None) is None
    assert kind(program=NODE._replace(waiting=())) is None
    (tmp_path / "extensions").mkdir()
    spec = extended(structs.replace(spec_of(tmp_path), layers_dir=str(tmp_path)), ROOTS)
    assert spec.extensions_dir == "/opt/extensions"
    assert kind_of(spec, "nodejs20.x", NODE, {}) is None


def test_a_wrapper_script_starts_the_runtime_itself_but_no_program_of_the_function() -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}
    assert kind(environment=variables) is None
    assert NODE.wrapper(variables) == "/opt/wrap"
    assert Program("the function's own bootstrap").wrapper(variables) == ""


@pytest.mark.parametrize("flag", ["--max-old-space-size=900", "--max_old_space_size 900"])
def test_the_heap_that_a_function_asks_node_for_is_its_heap(flag: str) -> None:
    spec = structs.replace(
        spec_of(Path("/code")), environment={"NODE_OPTIONS": f"--trace-gc {flag}"}
    )
    assert NODE.words(spec, *ROOTS) == ["/var/fogbank/fogbank/engines/sandbox/inside/node.cjs"]
    other = structs.replace(spec, environment={"NODE_OPTIONS": "--enable-source-maps"})
    assert NODE.words(other, *ROOTS)[0] == "--max-old-space-size=115"
