"""Rows of real data are windows of a corpus whose files, scale and hash follow from its content alone."""

import hashlib
import statistics
import sys
from pathlib import Path

import pytest
import torch

from capratio.errors import InputError
from capratio.inputs.corpus import corpus_of
from capratio.inputs.images import images_corpus, images_rows
from capratio.inputs.stream import random_stream
from capratio.inputs.text import LEFT_OUT, read_source, source_files, text_corpus, text_rows


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A small library whose modules lie beside everything that the corpus leaves out."""
    for path in ("b.py", "a/z.py", "a.py", "a/data.txt", *(f"a/{folder}/left_out.py" for folder in LEFT_OUT)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    return tmp_path


def test_source_files_are_modules_in_the_order_of_their_relative_path(library: Path) -> None:
    found = [path.relative_to(library).as_posix() for path in source_files(library)]

    assert ["a.py", "a/z.py", "b.py"] == found


def test_the_hash_is_that_of_the_files_one_after_the_other(library: Path) -> None:
    assert hashlib.sha256(b"a.pya/z.pyb.py").hexdigest() == read_source(library).sha256


def test_the_hash_changes_with_one_byte_of_content(library: Path) -> None:
    before = read_source(library).sha256

    (library / "a.py").write_bytes(b"A.py")

    assert before != read_source(library).sha256


@pytest.mark.parametrize("path", ["a/data.txt", "a/tests/left_out.py"])
def test_the_hash_does_not_change_with_what_is_left_out(library: Path, path: str) -> None:
    before = read_source(library).sha256

    (library / path).write_bytes(b"something else")

    assert before == read_source(library).sha256


def test_a_folder_without_source_says_what_to_use_instead(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0 bytes .* use another Python installation, or input = 'gaussian'"):
        read_source(tmp_path)


def test_a_file_that_cannot_be_read_says_what_to_use_instead(library: Path) -> None:
    (library / "dangling.py").symlink_to(library / "nowhere")

    with pytest.raises(InputError, match=r"cannot be read .* or use input = 'gaussian'"):
        read_source(library)


def test_windows_are_the_bytes_centred_and_scaled_by_all_of_them() -> None:
    content = b"a corpus of few bytes"
    corpus = corpus_of("some", content)
    mean, std = statistics.fmean(content), statistics.pstdev(content)

    rows = corpus.windows(torch.tensor([0, 13, 17]), features=4)

    expected = [[(byte - mean) / std for byte in content[start : start + 4]] for start in (0, 13, 17)]
    assert torch.allclose(torch.tensor(expected, dtype=torch.float64), rows, rtol=1e-12, atol=1e-12)


def test_random_windows_reach_both_ends_of_the_corpus() -> None:
    corpus = corpus_of("some", bytes(range(6)))

    rows = corpus.random_windows(200, 4, random_stream("ends", 0))

    # Three places, each missed by 200 draws with probability (2/3)^200.
    assert 3 == len({tuple(row) for row in rows.tolist()})


def test_a_window_as_long_as_the_corpus_is_the_corpus() -> None:
    corpus = corpus_of("some", bytes(range(6)))

    rows = corpus.random_windows(2, 6, random_stream("whole", 0))

    assert torch.equal(corpus.levels[:6].expand(2, 6), rows)


def test_a_window_longer_than_the_corpus_is_refused() -> None:
    corpus = corpus_of("some", bytes(range(6)))

    with pytest.raises(InputError, match="in_features = 7 is more than the 6 bytes of the input 'some'"):
        corpus.random_windows(0, 7, random_stream("long", 0))


def test_bytes_that_are_all_alike_cannot_be_scaled() -> None:
    with pytest.raises(InputError, match="cannot be scaled"):
        corpus_of("some", b"aaaa")


def test_the_standard_library_is_read_once() -> None:
    assert text_corpus() is text_corpus()


def test_text_rows_are_windows_of_the_standard_library() -> None:
    corpus = text_corpus()
    source = corpus.data.numpy().tobytes()

    row = text_rows(1, 80, seed=5)[0]

    # Levels rise strictly with the byte, so a value names its byte.
    assert bytes(torch.searchsorted(corpus.levels, row).tolist()) in source


def test_rows_of_64_features_are_whole_digits() -> None:
    corpus = images_corpus()
    digits = {tuple(row) for row in corpus.levels[corpus.data.to(torch.int64)].view(-1, 64).tolist()}

    rows = images_rows(50, 64, seed=0)

    assert {tuple(row) for row in rows.tolist()} <= digits


def test_rows_longer_than_a_digit_run_on_into_the_next() -> None:
    corpus = images_corpus()
    pixels = corpus.data.numpy().tobytes()

    row = images_rows(1, 100, seed=0)[0]

    assert bytes(torch.searchsorted(corpus.levels, row).tolist()) in pixels


def test_images_without_scikit_learn_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    images_corpus.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)

    with pytest.raises(InputError, match=r"pip install 'capratio\[images\]'"):
        images_rows(1, 64, seed=0)
