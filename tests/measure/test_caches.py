"""Caches as the kernel lists them, as lscpu prints them, and what is taken where neither does."""

from pathlib import Path

import pytest

from capratio.measure import machine
from capratio.measure.caches import Cache, last_level, parse_size, read_caches

LSCPU = """Architecture:             x86_64
L1d cache:                65536 (2 instances)
L1i cache:                65536 (2 instances)
L2 cache:                 2097152 (2 instances)
L3 cache:                 33554432 (1 instance)
"""


def write_cache(system: Path, index: int, level: str, kind: str, size: str) -> None:
    folder = system / "cpu0" / "cache" / f"index{index}"
    folder.mkdir(parents=True)
    for name, text in {"level": level, "type": kind, "size": size, "shared_cpu_list": "0-1"}.items():
        (folder / name).write_text(f"{text}\n")


def no_lscpu() -> str:
    raise AssertionError("lscpu is asked although the kernel told")


def test_the_kernels_list_is_read_level_by_level(tmp_path: Path) -> None:
    write_cache(tmp_path, 0, "3", "Unified", "32M")
    write_cache(tmp_path, 1, "1", "Data", "48K")
    write_cache(tmp_path, 2, "1", "Instruction", "64K")

    caches = read_caches(tmp_path, no_lscpu)

    assert (
        Cache(1, "data", 48 * 2**10, "0-1"),
        Cache(1, "instruction", 64 * 2**10, "0-1"),
        Cache(3, "unified", 32 * 2**20, "0-1"),
    ) == caches
    assert 32 * 2**20 == last_level(caches)


def test_lscpu_is_asked_where_the_kernel_is_silent_and_its_sums_are_divided(tmp_path: Path) -> None:
    caches = read_caches(tmp_path, lambda: LSCPU)

    assert [(1, "data", 2**15), (1, "instruction", 2**15), (2, "unified", 2**20), (3, "unified", 2**25)] == [
        (cache.level, cache.kind, cache.size_bytes) for cache in caches
    ]


def test_a_machine_that_tells_no_caches_has_none(tmp_path: Path) -> None:
    caches = read_caches(tmp_path, lambda: "")

    assert () == caches
    assert last_level(caches) is None


def test_a_cache_that_the_kernel_lists_in_part_is_left_out(tmp_path: Path) -> None:
    write_cache(tmp_path, 0, "1", "Data", "48K")
    write_cache(tmp_path, 1, "2", "Unified", "many")

    assert [1] == [cache.level for cache in read_caches(tmp_path, no_lscpu)]


def test_the_last_level_is_no_instruction_cache() -> None:
    assert 10 == last_level((Cache(1, "data", 10, None), Cache(2, "instruction", 99, None)))


@pytest.mark.parametrize("text, size", [("512", 512), ("32K", 2**15), ("1M", 2**20), ("2G\n", 2**31)])
def test_a_size_is_read_in_the_kernels_notation(text: str, size: int) -> None:
    assert size == parse_size(text)


def test_sizes_are_named_by_level_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    caches = (Cache(1, "data", 10, "0"), Cache(1, "instruction", 11, "0"), Cache(3, "unified", 30, "0-1"))
    monkeypatch.setattr(machine, "read_caches", lambda: caches)

    assert {"L1d": 10, "L1i": 11, "L3": 30} == machine.cache_sizes() == machine.machine_identity()["caches"]
