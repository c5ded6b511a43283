"""How a number on the page was made, and what the method favours, in few words; docs/method.md has the rest."""

METHOD = (
    "One process, started fresh, is one replicate of a layer and its sizes. It checks the layer's answer against "
    "a float64 reference before anything is timed (of a user's layer, that it repeats), warms up until steady, and "
    "keeps every sample in time order. The number of a case is the median over processes of each process's median; its "
    "interval is over processes, not over samples.",
    "FLOP are counted while the case runs (one multiply-add is two) and compared with a closed form for the very "
    "nodes that the input visited. Cold means that all data a call touches were evicted before it, and that its code "
    "was not. The limit is the larger of compulsory bytes over the bandwidth measured at their footprint and "
    "FLOP over the measured matrix-product rate, from ceilings of this machine measured in the same run.",
    "What this favours: layers with random weights are timed, so nothing is said about what they learn. One shape of "
    "input decides how unevenly leaves, experts and rows are visited. A record says which backend ran: the reference "
    "is plain torch, held against the dense layer's library at its best, which is against the trees. Two machines, or "
    "two runs on a shared machine, differ by more than the intervals here, which speak for this run. See "
    "docs/method.md.",
)
