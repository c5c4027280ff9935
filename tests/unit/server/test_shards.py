"""Several stores: who owns a domain, and that their number is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from fogbank.engines.memory import MemoryEngine
from fogbank.platform.store.engine import DIRECTORY, SYSTEM, Domain
from fogbank.platform.store.keyspace import PARTITIONS, partition_of, shard_of
from fogbank.server import config, datadir
from fogbank.server.backups import store_settings
from fogbank.server.shards import Shards


def test_domains_are_spread_evenly_and_every_store_uses_all_partitions() -> None:
    domains = [Domain("s3", f"bucket-{n}") for n in range(4_000)]
    by_store = [[each for each in domains if shard_of(each, 4) == n] for n in range(4)]
    assert all(800 < len(found) < 1_200 for found in by_store)
    assert all(
        {partition_of(each) for each in found} == set(range(PARTITIONS)) for found in by_store
    )
    assert {shard_of(each, 1) for each in domains} == {0}


def test_a_domain_has_one_owner_and_the_system_subspaces_are_ones_own() -> None:
    engines = [MemoryEngine(), MemoryEngine()]
    system = engines[1].system_stores()
    shards = Shards(engines, [1], system)
    for n in range(50):
        domain = Domain("s3", f"bucket-{n}")
        owner = engines[shards.number_of(domain)]
        assert shards.is_ours(domain) == (owner is engines[1])
        assert shards.store_of(domain)._engine is owner  # type: ignore[attr-defined]
        assert shards.blobs_of(domain) is owner.blobs
    assert shards.is_ours(SYSTEM)
    assert shards.store_of(SYSTEM)._engine is engines[1]  # type: ignore[attr-defined]
    assert shards.system_stores() == system
    assert shards.is_ours(DIRECTORY) == (shards.number_of(DIRECTORY) == 1)


def test_the_number_of_stores_is_noted_before_the_first_and_never_changes(tmp_path: Path) -> None:
    assert datadir.stores_of(tmp_path) is None
    datadir.settle_stores(tmp_path, 3)
    assert datadir.stores_of(tmp_path) == 3
    datadir.settle_stores(tmp_path, 3)
    for other in (1, 2, 4):
        with pytest.raises(datadir.StoresError, match=r"processes\.stores = 3"):
            datadir.settle_stores(tmp_path, other)
    assert [path.name for path in datadir.store_dirs(tmp_path, 2)] == ["store-0", "store-1"]


def test_one_store_has_no_note_and_the_layout_of_old(tmp_path: Path) -> None:
    datadir.settle_stores(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "store").mkdir()
    assert datadir.stores_of(tmp_path) == 1
    with pytest.raises(datadir.StoresError):
        datadir.settle_stores(tmp_path, 2)
    assert datadir.store_dirs(tmp_path, 1) == [tmp_path / "store"]
    assert datadir.functions_dir(tmp_path, 0, 1) == tmp_path / "functions"


def test_a_note_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stores.json").write_text("two")
    with pytest.raises(datadir.StoresError):
        datadir.settle_stores(tmp_path, 2)


def test_each_of_several_stores_archives_its_log_into_a_set_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "fogbank.toml").write_text('[archive]\nfolder = "a"\n[processes]\nstores = 2\n')
    loaded = config.load(tmp_path, environment={})
    archives = [store_settings(loaded, tmp_path, number).archive for number in range(2)]
    assert [each and (each.target, each.is_joint) for each in archives] == [
        (tmp_path / "a" / f"store-{number}", True) for number in range(2)
    ]


@pytest.mark.parametrize(
    "given", ["stores = 0", "stores = 17", "fronts = -1", "fronts = 65", "workers = 2"]
)
def test_numbers_of_processes_that_make_no_sense_are_refused(tmp_path: Path, given: str) -> None:
    (tmp_path / "fogbank.toml").write_text(f"[processes]\n{given}\n")
    with pytest.raises(config.ConfigError, match="processes"):
        config.load(tmp_path, environment={})
