"""Which cases run, and where: the warm ones of a case file."""

from pathlib import Path

import pytest

from capratio.cost.roofline import Ceilings
from capratio.measure.ceilings import measure_ceilings
from capratio.sweep.case import Case
from capratio.sweep.case_file import bundled_case_files, read_case_files

CEILINGS_TIME_BUDGET_S = 2.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this suite."""
    group = parser.getgroup("capratio")
    group.addoption("--case-file", default="quick", help="A case file, or the name of one that comes with capratio.")
    group.addoption("--device", default="cpu", choices=("cpu", "cuda"), help="Where all cases run.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a case. A cold case is left out: pytest-benchmark calls a function again while its data are warm."""
    if "case" not in metafunc.fixturenames:
        return
    name, device = metafunc.config.getoption("case_file"), metafunc.config.getoption("device")
    cases = read_case_files([bundled_case_files().get(name, Path(name))], device)
    warm = [case for case in cases if case.point.cache == "warm"]
    metafunc.parametrize("case", warm, ids=[case.id for case in warm])


@pytest.fixture(scope="session")
def ceilings(request: pytest.FixtureRequest) -> Ceilings:
    """What the machine can do, measured once for all cases: on one thread, in float32."""
    device: str = request.config.getoption("device")
    return measure_ceilings(1, ("float32",), CEILINGS_TIME_BUDGET_S, device=device)


@pytest.fixture
def group(case: Case) -> str:
    """The group that a case is shown in: its layer, the form of a tree that is not a path, and what is called."""
    form = "" if case.point.form == "path" else f", {case.point.form}"
    return f"{case.point.layer}{form}: {case.point.pass_}"
