"""The peers that a case may name are those that its layer would run."""

import subprocess
import sys
from dataclasses import replace

import pytest

from capratio.cost.spec import FORMS_OF, LayerSpec
from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.memory_table import CONSUMPTIONS, MemoryTableSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError
from capratio.kernels.backends import NAMES, PEERS
from capratio.layers.conditional_layer import ConditionalLayer
from capratio.layers.systems_table import build_spec
from capratio.layers.table import Layer, build
from capratio.sweep.case_backend import OF_EVERY_LAYER, check_backend
from tests.sweep.points import POINT

TREES = [
    LayerSpec(layer, 8, 8, 1, form, False, gate="descent" if layer == "fast-feedforward" else "signs")
    for layer, forms in FORMS_OF.items()
    if layer != "dense"
    for form in forms
]
MEMORIES = [
    MemoryTableSpec(8, MemoryTableSpec.usual_out_features(8, {"consumption": word}), consumption=word)
    for word in CONSUMPTIONS
]
OTHERS: list[SystemSpec] = [
    *(kind(8, 8).twin() for layer, kind in SYSTEMS.items() if layer != MemoryTableSpec.layer),
    *MEMORIES,
]


def is_taken(layer: str, form: str, spec: SystemSpec | None, backend: str) -> bool:
    """Whether a case of the layer may name the backend."""
    try:
        check_backend(replace(POINT, layer=layer, form=form, backend=backend), spec)
    except InputError:
        return False
    return True


def runs(layer: ConditionalLayer | Layer, backend: str) -> bool:
    """Whether it is the backend itself that the layer's hot product runs by."""
    layer.backend = backend
    try:
        return layer.ran_backend == backend
    except InputError:
        return False


@pytest.mark.parametrize("backend", PEERS)
@pytest.mark.parametrize("spec", TREES, ids=lambda spec: f"{spec.layer}-{spec.form}")
def test_a_peer_of_a_tree_is_taken_exactly_where_it_runs(spec: LayerSpec, backend: str) -> None:
    assert runs(build(spec), backend) == is_taken(spec.layer, spec.form, None, backend)


@pytest.mark.parametrize("backend", PEERS)
@pytest.mark.parametrize("spec", OTHERS, ids=lambda spec: f"{spec.layer}-{getattr(spec, 'consumption', '')}")
def test_a_peer_of_another_system_is_taken_exactly_where_it_runs(spec: SystemSpec, backend: str) -> None:
    assert runs(build_spec(spec), backend) == is_taken(spec.layer, "path", spec, backend)


@pytest.mark.parametrize("pass_", ["forward-grad", "train"])
@pytest.mark.parametrize(("form", "backend"), [("leaf", "fastfeedforward"), ("path", "ultrafastbert")])
def test_a_peer_without_gradients_takes_no_case_that_records_them(form: str, backend: str, pass_: str) -> None:
    point = replace(POINT, layer="fast-feedforward", form=form, backend=backend, bias=False)

    check_backend(point, None)
    with pytest.raises(InputError, match=f"'{backend}' with pass = '{pass_}', and it gives no gradients"):
        check_backend(replace(point, pass_=pass_), None)


def test_what_is_no_peer_may_be_named_with_every_layer() -> None:
    assert set(NAMES) == {*OF_EVERY_LAYER, *PEERS}


def test_reading_a_case_file_imports_no_torch() -> None:
    code = (
        "import sys\nfrom capratio.sweep.case_file import bundled_case_files, read_case_files\n"
        "read_case_files(list(bundled_case_files().values()))\nprint('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "False\n" == done.stdout
