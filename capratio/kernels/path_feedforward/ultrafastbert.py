"""path_feedforward by UltraFastBERT's published algorithm, a peer, restated: rows gathered level by level, then bmm.

The logits of a level are one batched product of the tokens with their nodes' rows, and the output is one of the
activations with the gathered rows of the whole way.
"""

import torch
from torch.nn.functional import gelu


def path_feedforward(x: torch.Tensor, weight_in: torch.Tensor, weight_out: torch.Tensor) -> torch.Tensor:
    """y = sum over l = 0..k of gelu(w_in[node_l] . x) w_out[node_l]: (N, p) -> (N, q)."""
    levels = len(weight_in).bit_length()
    nodes = x.new_empty(len(x), levels, dtype=torch.int64)
    logits = x.new_empty(len(x), levels)
    columns, node = x.unsqueeze(2), x.new_zeros(len(x), dtype=torch.int64)
    for level in range(levels):
        nodes[:, level] = node
        score = torch.bmm(weight_in.index_select(0, node).unsqueeze(1), columns).view(-1)
        logits[:, level] = score
        node = 2 * node + 1 + (score > 0)
    rows = weight_out.index_select(0, nodes.flatten()).view(len(x), levels, weight_out.shape[1])
    return torch.bmm(gelu(logits).unsqueeze(1), rows).squeeze(1)
