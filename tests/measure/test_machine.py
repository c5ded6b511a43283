"""The machine is described from what it tells, its identity is stable, and other systems are refused."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from capratio.measure import machine
from capratio.measure.free_memory import free_memory_bytes
from capratio.measure.machine import (
    cpu_model,
    describe_machine,
    last_level_cache_bytes,
    machine_identity,
    read_governor,
)
from capratio.measure.source_state import SourceState, checkout_of, content_hash, source_state

GIBIBYTE = 2**30


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "file").write_text("1")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_the_description_can_be_written_as_json_and_holds_what_a_reader_asks_for() -> None:
    described = describe_machine()

    assert described == json.loads(json.dumps(described))
    asked = {"cpu_model", "caches", "cores", "threads", "memory_bytes", "kernel", "python", "packages", "torch_config"}
    assert asked <= described.keys()
    assert (None, None) == (described["commit"], described["dirty"])


def test_the_identity_is_the_same_each_time_and_part_of_the_description() -> None:
    identity = machine_identity()

    assert identity == machine_identity()
    assert identity["cpu_model"] == describe_machine()["cpu_model"]


def test_some_bytes_of_memory_more_or_less_are_the_same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_memory(total: int) -> dict[str, object]:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=total))
        return machine_identity()

    assert with_memory(24 * GIBIBYTE) == with_memory(24 * GIBIBYTE - 70_000_000)
    assert with_memory(24 * GIBIBYTE) != with_memory(32 * GIBIBYTE)


def test_a_machine_without_known_caches_gets_an_assumed_one_that_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "read_caches", lambda: ())

    described = describe_machine()

    assert 64 * 2**20 == last_level_cache_bytes() == described["last_level_cache_bytes"]
    assert described["last_level_cache_assumed"] is True


def test_the_processors_name_is_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A Chip: fast\n")

    assert "A Chip: fast" == cpu_model(tmp_path / "cpuinfo")


def test_a_processor_without_a_name_still_has_one(tmp_path: Path) -> None:
    assert "" != cpu_model(tmp_path / "nothing")


def test_the_governor_is_read_where_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "cpu0" / "cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_governor").write_text("powersave\n")

    assert "powersave" == read_governor(tmp_path)
    assert read_governor(tmp_path / "other") is None


def test_a_clean_checkout_has_its_commit(checkout: Path) -> None:
    state = source_state(checkout)

    assert state.commit is not None
    assert 40 == len(state.commit)
    assert state.dirty is False
    assert state.commit == describe_machine(checkout)["commit"]


@pytest.mark.parametrize("name", ["file", "new"])
def test_an_edited_or_a_new_file_makes_a_checkout_dirty(checkout: Path, name: str) -> None:
    (checkout / name).write_text("2")

    assert source_state(checkout).dirty is True


def test_an_installed_package_has_the_checkout_that_it_was_installed_from(checkout: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "capratio"
    for package in (installed, checkout / "capratio"):
        package.mkdir(parents=True)
        (package / "code.py").write_text("1")

    assert checkout == checkout_of(installed, (installed.parent, checkout))

    (checkout / "capratio" / "code.py").write_text("2")
    assert checkout_of(installed, (installed.parent, checkout)) is None


def test_a_folder_inside_of_a_checkout_is_none_itself(checkout: Path) -> None:
    (checkout / "site-packages").mkdir()

    assert SourceState(None, None) == source_state(checkout / "site-packages")


def test_a_checkout_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    assert source_state(tmp_path).commit is None


def test_a_machine_without_git_tells_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert SourceState(None, None) == source_state(checkout)


def test_the_content_of_a_package_changes_with_a_byte_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x")
    first = content_hash(tmp_path)

    (tmp_path / "a.py").write_text("y")
    edited = content_hash(tmp_path)
    (tmp_path / "a.py").write_text("x")
    (tmp_path / "notes.txt").write_text("not code")
    back = content_hash(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")

    assert first == back
    assert 3 == len({first, edited, content_hash(tmp_path)})


def control_group(folder: Path, limit: str) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text("700\n")
    (folder / "memory.stat").write_text("anon 400\ninactive_file 200\n")
    return folder


def test_free_memory_is_what_the_control_group_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5000))

    # Of a limit of 1000, 700 are used, of which 200 are files that can be dropped.
    assert 500 == free_memory_bytes(control_group(tmp_path, "1000"))
    assert 5000 == free_memory_bytes(control_group(tmp_path, "max"))
    assert 5000 == free_memory_bytes(control_group(tmp_path, "9000"))
    assert 0 == free_memory_bytes(control_group(tmp_path, "300"))


def test_free_memory_without_a_control_group_is_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5000))

    assert 5000 == free_memory_bytes(tmp_path / "none")
