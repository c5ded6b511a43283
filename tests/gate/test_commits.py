"""The commits of a gate: names, the working tree with all that git would take, and clones that lack their history."""

import subprocess
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.gate import commits
from capratio.gate.commits import WORKING_TREE, find_commit, repository_root, working_tree


def git(root: Path, *arguments: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *named, "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--initial-branch=main")
    (root / "layer.py").write_text("width = 1\n")
    (root / ".gitignore").write_text("ignored/\n")
    git(root, "add", "--all")
    git(root, "commit", "--message=first")
    (root / "layer.py").write_text("width = 2\n")
    git(root, "commit", "--all", "--message=second")
    return root


def files(root: Path, commit: str) -> set[str]:
    return set(git(root, "ls-tree", "-r", "--name-only", commit).split())


def test_a_name_is_found_as_its_commit(repository: Path) -> None:
    found = find_commit(repository, "HEAD~1")

    assert (git(repository, "rev-parse", "HEAD~1"), "HEAD~1") == (found.commit, found.name)


@pytest.mark.parametrize("name", ["nowhere", "--all", "", "HEAD~9", "main:layer.py"])
def test_a_name_that_is_no_commit_is_refused_in_one_sentence(repository: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no commit of this repository; give a branch, a tag or a commit id"):
        find_commit(repository, name)


def test_a_shallow_clone_says_how_to_fetch_what_it_lacks(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))

    with pytest.raises(InputError, match="the clone is shallow: fetch its history"):
        find_commit(tmp_path / "shallow", "HEAD~1")


def test_a_clean_working_tree_is_its_head(repository: Path) -> None:
    assert git(repository, "rev-parse", "HEAD") == working_tree(repository).commit


def test_a_working_tree_counts_what_is_edited_and_new_and_not_what_is_ignored(repository: Path) -> None:
    (repository / "layer.py").write_text("width = 3\n")
    (repository / "new.py").write_text("")
    (repository / "ignored").mkdir()
    (repository / "ignored" / "large").write_text("")

    found = working_tree(repository)

    assert {"layer.py", "new.py", ".gitignore"} == files(repository, found.commit)
    assert "width = 3" == git(repository, "show", f"{found.commit}:layer.py")
    assert WORKING_TREE == found.name


def test_taking_the_working_tree_changes_neither_index_nor_branches_and_gives_the_same_again(repository: Path) -> None:
    (repository / "new.py").write_text("")
    before = git(repository, "status", "--porcelain"), git(repository, "for-each-ref")

    first, second = working_tree(repository), working_tree(repository)

    assert before == (git(repository, "status", "--porcelain"), git(repository, "for-each-ref"))
    assert first == second


def test_a_folder_without_a_repository_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match="is in no git repository"):
        repository_root(tmp_path / "empty")


def test_a_repository_without_a_commit_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init")

    with pytest.raises(InputError, match="'HEAD' is no commit"):
        working_tree(tmp_path)


def test_a_repository_inside_of_the_working_tree_is_named(repository: Path) -> None:
    git(repository, "init", "inner")
    git(repository / "inner", "commit", "--allow-empty", "--message=inner")

    with pytest.raises(InputError, match=r"inner/? is a repository of its own; add it to \.gitignore"):
        working_tree(repository)


def test_an_untracked_file_that_is_no_source_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "MOST_UNTRACKED_BYTES", 3)
    (repository / "data.bin").write_bytes(b"1234")

    with pytest.raises(InputError, match=r"data.bin is not tracked and has 4 bytes"):
        working_tree(repository)
