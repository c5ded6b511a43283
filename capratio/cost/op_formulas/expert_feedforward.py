"""The cost of expert_feedforward: every token through the feedforward networks of its experts, and their sum.

Assignments are sorted by expert; each visited expert's two matrices multiply its tokens, and the outputs of a token's
experts are scaled by their shares and added.

Symbols beside those of the package: A assignments (places of the N x k experts that name one, and not -1), h hidden
features, m rows of the first matrix (h, or 2h where one half gates the other), V visited experts, E experts.
"""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import INDEX_BYTES, sort_operations
from capratio.cost.operation import OperationCost

GATED = ("geglu", "swiglu")
ACTIVATIONS = ("relu", "gelu", *GATED)

# Of a hidden feature: x Φ(x) = x (1 + erf(x / √2)) / 2 is 5 FLOP, x sigmoid(x) 2, a gated value's multiply 1.
_FORWARD_FLOP = {"relu": 0, "gelu": 5, "geglu": 5 + 1, "swiglu": 2 + 1}
# The same, and the gradient: g (Φ(x) + x φ(x)) is 11 FLOP, g (s + x s (1 - s)) 6; the gradient g of a gate is first
# multiplied by the value, and that of a value by the activated gate.
_BACKWARD_FLOP = {"relu": 0, "gelu": 5 + 11, "geglu": (5 + 1) + (1 + 11) + 1, "swiglu": (2 + 1) + (1 + 6) + 1}
# relu is a compare, forward and in its gradient.
_COMPARES = {"relu": 1, "gelu": 0, "geglu": 0, "swiglu": 0}


def compares_of(activation: str, units: int, training: bool) -> int:
    """Compares of the activation of so many units A h, which are routing operations that route nothing.

    One of each forward, and two more in its gradients, which start from the first products again.
    """
    return _COMPARES[activation] * units * (3 if training else 1)


def first_rows(hidden: int, activation: str) -> int:
    """Rows m of an expert's first matrix: h, or 2h where the activation is gated."""
    return 2 * hidden if activation in GATED else hidden


def expert_feedforward(
    tokens: int,
    in_features: int,
    out_features: int,
    hidden: int,
    activation: str,
    *,
    slots: int,
    assignments: int,
    visited: int,
    itemsize: int,
) -> OperationCost:
    """The cost of y_n = sum over j of share[n, j] W_out[e] act(W_in[e] x_n) with e = expert[n, j].

    2A (m p + h q) product FLOP. Overhead: of the activation 0, 5A h, 6A h and 3A h for relu, gelu, geglu and swiglu;
    2A q for the sum, which begins at zero. Routing: S ceil(log2 S) to sort all slots, and A h compares of relu. Whether
    the first products are kept for gradients makes no difference: they are written once.

    Args: tokens N, in_features p, out_features q, hidden h: counts. activation: one of ``ACTIVATIONS``. slots S: N k,
    those without an expert included. assignments A, visited V: counts without those. itemsize: bytes of an element.
    """
    rows = first_rows(hidden, activation)
    matrices = rows * in_features + hidden * out_features
    units = assignments * hidden
    return OperationCost(
        flop=Flop(
            product=2 * assignments * matrices,
            overhead=_FORWARD_FLOP[activation] * units + 2 * assignments * out_features,
        ),
        routing_operations=sort_operations(slots) + _COMPARES[activation] * units,
        # Of each assignment x and its sorted copy, the first products, the hidden features, the outputs twice (scaled,
        # then added), their sum and the share; the visited matrices; the experts by the sort, and its permutation.
        read_bytes=(assignments * (2 * in_features + rows + hidden + 3 * out_features + 1) + visited * matrices)
        * itemsize
        + 2 * slots * INDEX_BYTES,
        # The sorted copy of x, the first products, the hidden features, the outputs, also scaled and added; the zeros
        # that sums begin at; the permutation.
        written_bytes=(assignments * (in_features + rows + hidden + 3 * out_features) + tokens * out_features)
        * itemsize
        + slots * INDEX_BYTES,
        rows_gathered=assignments,
    )


def expert_feedforward_gradients(
    tokens: int,
    in_features: int,
    out_features: int,
    hidden: int,
    activation: str,
    *,
    slots: int,
    assignments: int,
    visited: int,
    experts: int,
    itemsize: int,
) -> OperationCost:
    """The cost of all gradients of expert_feedforward, from the first products z = W_in x that were kept.

    Of an assignment with share s and a = act(z): g = W_out^T dy, ds = a . g, dz = act'(z) s g, dx += W_in^T dz,
    dW_in += dz x^T, dW_out += s dy a^T.

    4A (m p + h q) product FLOP. Overhead: A h for s g, A (2h - 1) for ds, A q for s dy, A p for the sum of dx, and of
    a and dz together 0, 16A h, 19A h and 11A h for relu, gelu, geglu and swiglu (where z = (gate, value), the activated
    gate serves both). Routing: S ceil(log2 S) to sort all slots, and 2A h compares of relu.

    Args: as expert_feedforward; experts E: rows of the tables' dense gradients, all written as zeros first.
    """
    rows = first_rows(hidden, activation)
    matrices = rows * in_features + hidden * out_features
    units = assignments * hidden
    sums = assignments * (2 * hidden - 1 + out_features + in_features)
    return OperationCost(
        flop=Flop(product=4 * assignments * matrices, overhead=(1 + _BACKWARD_FLOP[activation]) * units + sums),
        routing_operations=sort_operations(slots) + 2 * _COMPARES[activation] * units,
        # Of each assignment dy, and its sorted copy twice, s dy; z; g twice, s g, a twice; x and its sorted copy, dz
        # twice, its product with W_in, and the sum; the share twice. The visited matrices; the experts by the sort, and
        # its permutation.
        read_bytes=(assignments * (4 * out_features + 3 * rows + 5 * hidden + 4 * in_features + 2) + visited * matrices)
        * itemsize
        + 2 * slots * INDEX_BYTES,
        # Of each assignment the sorted dy, s dy, g, s g, a, dz, the sorted x, dz's product with W_in, and the sum. The
        # zeros of dx, of the tables' gradients and of ds, the visited gradients, ds; the permutation.
        written_bytes=(
            assignments * (2 * out_features + 3 * hidden + rows + 3 * in_features + 1)
            + tokens * in_features
            + (experts + visited) * matrices
            + slots
        )
        * itemsize
        + slots * INDEX_BYTES,
        rows_gathered=2 * assignments,
    )
