"""Files that an installation writes for itself are no part of the text corpus."""

from pathlib import Path

from capratio.inputs.text import read_source, source_files


def test_files_that_hold_the_paths_of_one_installation_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "ast.py").write_text("library")
    alone = read_source(tmp_path).sha256

    (tmp_path / "_sysconfigdata__linux.py").write_text("prefix = '/somewhere'")
    (tmp_path / "config-3.11").mkdir()
    (tmp_path / "config-3.11" / "python-config.py").write_text("prefix = '/somewhere'")

    assert [tmp_path / "ast.py"] == source_files(tmp_path)
    assert alone == read_source(tmp_path).sha256
