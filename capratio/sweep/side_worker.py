"""The process that measures one side of a gate's block: the layers are the side's, the clock is the gate's own.

The side's interpreter runs this file. A commit of this repository brings a capratio of its own, which builds its
layers; the clock was imported before from the capratio that runs the gate, so that a changed clock is no regression.

It reads a line of JSON and writes an event a line: ``starts`` before a case, ``measured`` or ``failed`` after it, and
``anchor``, the latencies of work that no commit changes, first and last.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PROTOCOL = 1
SIDE_CASES = "capratio.sweep.side_cases"
PRODUCT_WIDTH = 192
# Of the size of a core's own cache: the bus behind it is shared with whoever else is on the machine.
STREAM_BYTES = 2**20
ANCHOR_SAMPLES = 50

Events = Callable[[dict[str, object]], None]


def main() -> None:
    """Measure what standard input asks for."""
    asked = json.loads(sys.stdin.readline())
    say = _take_stdout()
    clock = import_clock(asked["home"])
    clock.die_with_parent()
    try:
        side = import_side(asked["home"], asked["paths"], own=asked["own"])
    except ModuleNotFoundError as error:
        older = (
            "it is older than the gate; compare with a later one" if error.name == SIDE_CASES else "it does not import"
        )
        raise SystemExit(f"{error}: {older}.") from None
    except Exception as error:
        raise SystemExit(f"it does not import ({type(error).__name__}: {error}).") from None
    if side.PROTOCOL != PROTOCOL:
        raise SystemExit(f"the side speaks protocol {side.PROTOCOL} and this gate {PROTOCOL}; gate newer commits.")
    say({"anchor": anchors(clock)})
    cases = list(asked["cases"])
    random.Random(asked["seed"]).shuffle(cases)
    for case in cases:
        say({"starts": case["id"]})
        say(measured(case, asked, side, clock))
    say({"anchor": anchors(clock)})


def import_clock(home: str) -> Any:
    """The module of the gate's own clock, from the folder that holds its package."""
    sys.path.insert(0, home)
    clock = import_module("capratio.sweep.side_clock")
    sys.path.remove(home)
    return clock


def import_side(home: str, paths: list[str], *, own: bool) -> Any:
    """The module by which the side builds its cases.

    Args: own: whether the side brings a capratio of its own; the clock's modules are then forgotten by name, and live
    on where they are used.
    """
    sys.path[:0] = paths
    if own:
        for name in [name for name in sys.modules if name.partition(".")[0] == "capratio"]:
            del sys.modules[name]
    else:
        sys.path.append(home)
    return import_module(SIDE_CASES)


def anchors(clock: Any) -> dict[str, float]:
    """Latency in seconds of a product and of a stream through memory."""
    import torch

    left = torch.ones(PRODUCT_WIDTH, PRODUCT_WIDTH)
    stream = torch.ones(STREAM_BYTES // 4)
    return {
        "product_s": clock.median_s(lambda: torch.mm(left, left), ANCHOR_SAMPLES),
        "stream_s": clock.median_s(stream.sum, ANCHOR_SAMPLES),
    }


def measured(case: dict[str, Any], asked: dict[str, Any], side: Any, clock: Any) -> dict[str, object]:
    """The event of one case; whatever goes wrong is its reason."""
    import torch

    started_s = time.perf_counter()
    torch.set_num_threads(case["threads"])
    try:
        ready = side.ready_case(case["described"], asked["weights_seed"], [Path(each) for each in asked["inside"]])
        slowdown = asked["slowdowns"].get(case["id"])
        call = clock.slowed(ready.call, slowdown) if slowdown else ready.call
        counts = ready.counts() if asked["count"] else {}
        samples_s = clock.samples_s(ready, call, case["sampling"])
    except Exception as error:
        return {"failed": case["id"], "reason": " ".join(str(error).split())[:500] or type(error).__name__}
    return {
        "measured": case["id"],
        "samples_s": samples_s,
        "counts": counts,
        "took_s": time.perf_counter() - started_s,
    }


def _take_stdout() -> Events:
    """Writes events to what was standard output; what anybody prints goes to standard error from now on."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def say(event: dict[str, object]) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    return say


if __name__ == "__main__":
    main()
