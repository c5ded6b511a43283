"""Whether a host takes free memory back is read from the virtual machine's devices."""

from pathlib import Path

import pytest

from capratio.measure.free_memory import host_takes_free_pages


@pytest.mark.parametrize(
    ("kind", "features", "taken_back"),
    [
        # Feature 5 is the sixth sign.
        ("0x0005\n", "0110010100" + "0" * 54, True),
        ("0x0005\n", "0110000100" + "0" * 54, False),
        ("0x0002\n", "0110010100" + "0" * 54, False),
        ("0x0005\n", "", False),
        ("none\n", "0000010000", False),
    ],
)
def test_a_balloon_that_reports_free_pages_is_seen(kind: str, features: str, taken_back: bool, tmp_path: Path) -> None:
    for name, (device, its_features) in {"virtio0": ("0x0001", "1" * 64), "virtio1": (kind, features)}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "device").write_text(device)
        (tmp_path / name / "features").write_text(its_features)

    assert taken_back == host_takes_free_pages(tmp_path)


def test_without_such_devices_memory_stays(tmp_path: Path) -> None:
    (tmp_path / "virtio0").mkdir()

    assert not host_takes_free_pages(tmp_path)
    assert not host_takes_free_pages(tmp_path / "none")
