"""Control groups of both versions, on a tree of plain files that looks like them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fogbank.engines.sandbox.daemon import cgroups


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    return make(
        tmp_path,
        {
            "proc/self/mounts": "cgroup2 /cg cgroup2 rw 0 0\n",
            "proc/self/cgroup": "0::/unit.service\n",
            "cg/cgroup.controllers": "cpuset cpu io memory pids\n",
            "cg/unit.service/cgroup.procs": "",
            "cg/unit.service/cgroup.type": "domain\n",
            "cg/unit.service/cgroup.subtree_control": "cpu memory pids\n",
        },
    )


@pytest.fixture
def split(tmp_path: Path) -> Path:
    mounts = "".join(f"cgroup /cg/{name} cgroup rw,{name} 0 0\n" for name in cgroups.CONTROLLERS)
    mounts += "cgroup2 /cg/unified cgroup2 rw 0 0\n"
    made = {
        "proc/self/mounts": mounts,
        "proc/self/cgroup": "3:memory:/mine\n2:cpu:/\n1:pids:/\n0::/\n",
        "cg/unified/cgroup.controllers": "\n",
    }
    for name in (*cgroups.CONTROLLERS, "memory/mine"):
        made[f"cg/{name}/cgroup.procs"] = ""
    return make(tmp_path, made)


def text(path: Path) -> str:
    return path.read_text().strip()


def test_version_two_is_used_where_it_is_delegated(unified: Path) -> None:
    found, sentence = cgroups.find(unified)
    assert found is not None
    assert found.unified
    base = unified / "cg/unit.service" / cgroups.own_tag()
    assert base.is_dir()
    assert text(base / "cgroup.subtree_control") == "+memory +cpu +pids"
    assert sentence.startswith("cgroup v2 at ")
    group = found.create(5, 64)
    group.limit(128)
    path = base / "5"
    assert text(path / "memory.max") == str(128 * 1024 * 1024)
    assert text(path / "memory.oom.group") == "1"
    assert text(path / "memory.swap.max") == "0"
    assert text(path / "pids.max") == "64"
    group.settle(128, strict=True)
    assert text(path / "cpu.weight") == "7"
    assert text(path / "cpu.max") == "7235 100000"


def test_a_group_with_processes_hands_down_after_they_moved_into_a_leaf(unified: Path) -> None:
    group = unified / "cg/unit.service"
    (group / "cgroup.subtree_control").write_text("")
    (group / "cgroup.procs").write_text("12\n13\n")
    (group / "fogbank").mkdir()
    found, _ = cgroups.find(unified)
    assert found is not None
    assert text(group / "fogbank/cgroup.procs") == "13"  # a real file keeps the last write
    assert text(group / "cgroup.subtree_control") == "+memory +cpu +pids"


def test_version_one_is_used_where_version_two_offers_nothing(split: Path) -> None:
    found, sentence = cgroups.find(split)
    assert found is not None
    assert not found.unified
    assert sentence.startswith("cgroup v1 at ")
    group = found.create(6, 64)
    group.limit(1769)
    tag = cgroups.own_tag()
    memory = split / "cg/memory/mine" / tag / "6"
    cpu = split / "cg/cpu" / tag / "6"
    assert text(memory / "memory.limit_in_bytes") == str(1769 * 1024 * 1024)
    assert text(split / "cg/pids" / tag / "6/pids.max") == "64"
    assert not (cpu / "cpu.shares").exists()  # a full vCPU until it settles
    group.settle(1769, strict=False)
    assert text(cpu / "cpu.shares") == "1024"
    assert not (cpu / "cpu.cfs_quota_us").exists()
    group.settle(1769, strict=True)
    assert text(cpu / "cpu.cfs_quota_us") == "100000"
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (memory / "memory.max_usage_in_bytes").write_text("3145729\n")
    assert group.oom_kills() == 2
    assert group.peak_mb() == 4


def test_without_control_groups_the_sentence_says_why(tmp_path: Path) -> None:
    make(tmp_path, {"proc/self/mounts": "", "proc/self/cgroup": ""})
    found, sentence = cgroups.find(tmp_path)
    assert found is None
    assert sentence == "cgroup v2 is not mounted; cgroup v1 has no memory, cpu, pids"


def test_only_directories_of_dead_daemons_are_swept(tmp_path: Path) -> None:
    living = cgroups.own_tag()
    dead = f"{cgroups.PREFIX}{os.getpid()}-1"
    for name in (living, dead, f"{cgroups.PREFIX}99999999-5", "other", f"{cgroups.PREFIX}x"):
        (tmp_path / name / "7").mkdir(parents=True)
    swept = cgroups.sweep(tmp_path)
    assert {Path(path).name for path in swept} == {
        dead,
        f"{cgroups.PREFIX}99999999-5",
        f"{cgroups.PREFIX}x",
    }
    assert {path.name for path in tmp_path.iterdir()} == {living, "other"}


@pytest.mark.parametrize(("memory_mb", "shares"), [(128, 74), (1769, 1024), (10240, 5927)])
def test_the_weight_follows_the_memory(memory_mb: int, shares: int) -> None:
    assert cgroups.weight_of(memory_mb, 1024) == shares
