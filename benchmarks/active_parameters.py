"""A published mixture's size from our closed forms: Mixtral 8x7B, 46.7 billion parameters, of which a token uses 12.9.

Nothing is allocated. An expert there is gated by silu where ours is by gelu; its matrices have the same shapes. As in
the published figure, a token uses the whole embedding and the whole head.
"""

from dataclasses import asdict, dataclass

from benchmarks.figure import Content, Figure, parser, write_figure
from capratio.cost import LayerSpec, closed_form
from capratio.cost.systems.moe_st import MoeStSpec
from capratio.display import markdown_table
from capratio.units import whole


@dataclass(frozen=True, slots=True)
class Transformer:
    """The sizes of a decoder whose feedforward networks are mixtures, all of them counts.

    width: features of a token. hidden: of an expert. heads, kv_heads: of queries, and of keys and values.
    """

    layers: int
    width: int
    hidden: int
    experts: int
    top_k: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Part:
    """Parameters of one kind in the whole model, and those of them that a token uses."""

    name: str
    total: int
    active: int


# Source: Jiang et al. 2024, arXiv 2401.04088, table 1; head and embedding are two matrices, as in the weights.
MIXTRAL = Transformer(
    layers=32,
    width=4096,
    hidden=14336,
    experts=8,
    top_k=2,
    heads=32,
    kv_heads=8,
    head_width=128,
    vocabulary=32000,
)
# Source: Mistral AI, "Mixtral of experts", 11 December 2023.
PUBLISHED_TOTAL, PUBLISHED_ACTIVE = "46.7", "12.9"


def parts(model: Transformer) -> list[Part]:
    """What the model is made of, by our closed forms of a mixture and of a dense layer."""
    mixture = MoeStSpec(
        model.width, model.width, experts=model.experts, top_k=model.top_k, hidden=model.hidden, second="always"
    )
    experts, used = mixture.weight_parameters, mixture.touched_parameters(mixture.one_token())
    router = mixture.parameters - experts
    queries, keys = model.heads * model.head_width, model.kv_heads * model.head_width
    attention = 2 * _dense(model.width, queries) + 2 * _dense(model.width, keys)
    ends = 2 * _dense(model.width, model.vocabulary)
    # Two norms a layer and one at the end, a factor a feature.
    norms = (2 * model.layers + 1) * model.width
    return [
        Part("experts", model.layers * experts, model.layers * (used - router)),
        Part("routers", model.layers * router, model.layers * router),
        Part("attention", model.layers * attention, model.layers * attention),
        Part("norms", norms, norms),
        Part("embedding and head", ends, ends),
    ]


def _dense(in_features: int, out_features: int) -> int:
    return closed_form(LayerSpec("dense", in_features, out_features, bias=False)).parameters


def billions(count: int) -> str:
    """A count as the publication writes it, such as 46.7."""
    return f"{count / 1e9:.1f}"


def sums(content: Content) -> tuple[int, int]:
    """All parameters, and those that a token uses."""
    return sum(row["total"] for row in content["rows"]), sum(row["active"] for row in content["rows"])


def table(content: Content) -> str:
    """The parts and their sums."""
    rows = [(row["name"], whole(row["total"]), whole(row["active"])) for row in content["rows"]]
    return markdown_table(["part", "parameters", "a token uses"], [*rows, ("all", *map(whole, sums(content)))])


def summary(content: Content) -> str:
    """The sums as the publication writes them."""
    total, active = map(billions, sums(content))
    rows = [("all parameters", PUBLISHED_TOTAL, total), ("parameters that a token uses", PUBLISHED_ACTIVE, active)]
    return markdown_table(["billions", "published", "ours"], rows)


def conditions(content: Content) -> str:
    """The sizes of the model."""
    return (
        "Closed forms of {layers} layers, {width} features, {experts} experts of {hidden} hidden units, top-{top_k}, "
        "{heads} heads of {head_width} with {kv_heads} for keys and values, a vocabulary of {vocabulary}. Nothing is "
        "measured."
    ).format(**content["conditions"])


FIGURE = Figure(
    name="active_parameters",
    title="Active parameters of Mixtral 8x7B",
    takes="a few seconds",
    summary=summary,
    table=table,
    conditions=conditions,
)


def main(arguments: list[str] | None = None) -> None:
    """Count, and write the parts."""
    options = parser(FIGURE, __doc__).parse_args(arguments)
    write_figure(FIGURE, options.out, asdict(MIXTRAL), map(asdict, parts(MIXTRAL)))


if __name__ == "__main__":
    main()
