"""The point from which the tests of this room start."""

from capratio.records.record import Point

POINT = Point(
    layer="tree-shared",
    form="path",
    in_features=7,
    out_features=5,
    depth=3,
    tokens=6,
    dtype="float32",
    device="cpu",
    pass_="forward",
    cache="warm",
    input="gaussian",
    routing="measured",
    backend="reference",
    threads=1,
    order="auto",
)
