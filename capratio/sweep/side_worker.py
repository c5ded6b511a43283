"""The process that measures one side of a gate's block: the layers are the side's, the clock is the gate's own.

The side's interpreter runs this file. A commit of this repository brings a capratio of its own, which builds its
layers; the clock was imported before from the capratio that runs the gate, so that a changed clock is no regression.

It reads a line of JSON, builds all cases, and then makes a round through them for each line ``round``: the processes of
a block take turns, so that a machine that is slow for a moment is slow for all sides. It writes an event a line:
``starts`` whenever a case runs, ``failed`` or in the end ``measured``, ``anchor`` before each round, the latencies of
work that no commit changes, and ``done`` when it waits to be told.
"""

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

PROTOCOL = 1
SIDE_CASES = "capratio.sweep.side_cases"
PRODUCT_WIDTH = 192
# Of the size of a core's own cache: the bus behind it is shared with whoever else is on the machine.
STREAM_BYTES = 2**20
ANCHOR_SAMPLES = 20

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
    draw = random.Random(asked["seed"])
    ready = dict(prepare(draw.sample(asked["cases"], len(asked["cases"])), asked, side, say))
    clock.keep_garbage()
    say({"done": "ready"})
    samples_s: dict[str, list[float]] = {name: [] for name in ready}
    while sys.stdin.readline().strip() == "round":
        say({"anchor": anchors(clock)})
        make_round(draw.sample(asked["cases"], len(asked["cases"])), ready, samples_s, asked, clock, say)
        say({"done": "round"})
    for case_id, samples in samples_s.items():
        made = ready[case_id]
        say({"measured": case_id, "samples_s": samples, "counts": made.counted, "throttled": made.throttled})
    say({"done": "end"})


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

    torch.set_num_threads(1)
    left = torch.ones(PRODUCT_WIDTH, PRODUCT_WIDTH)
    stream = torch.ones(STREAM_BYTES // 4)
    return {
        "product_s": clock.median_s(lambda: torch.mm(left, left), ANCHOR_SAMPLES),
        "stream_s": clock.median_s(stream.sum, ANCHOR_SAMPLES),
    }


@dataclass
class Prepared:
    """A case that is built and verified.

    ready: the side's ``ReadyCase``. counted: its exact quantities. throttled: whether its device's clock was low.
    """

    ready: Any
    counted: dict[str, int]
    throttled: bool = False


def prepare(
    cases: list[dict[str, Any]], asked: dict[str, Any], side: Any, say: Events
) -> Iterator[tuple[str, Prepared]]:
    """Build every case by the side; whatever goes wrong is its reason."""
    import torch

    for case in cases:
        say({"starts": case["id"]})
        torch.set_num_threads(case["threads"])
        try:
            ready = side.ready_case(case["described"], asked["weights_seed"], [Path(each) for each in asked["inside"]])
            yield case["id"], Prepared(ready, ready.counts() if asked["count"] else {})
        except Exception as error:
            say({"failed": case["id"], "reason": reason(error)})


def make_round(
    cases: list[dict[str, Any]],
    ready: dict[str, Prepared],
    samples_s: dict[str, list[float]],
    asked: dict[str, Any],
    clock: Any,
    say: Events,
) -> None:
    """Add each case's share of a round to its samples; one that goes wrong has none from then on."""
    import torch

    for case in cases:
        if case["id"] not in samples_s:
            continue
        say({"starts": case["id"]})
        torch.set_num_threads(case["threads"])
        made = ready[case["id"]].ready
        slowdown = asked["slowdowns"].get(case["id"])
        call = clock.slowed(made.call, slowdown) if slowdown else made.call
        try:
            more_s, throttled = clock.samples_s(made, call, case["sampling"], asked["rounds"])
            samples_s[case["id"]] += more_s
            ready[case["id"]].throttled |= throttled
        except Exception as error:
            del samples_s[case["id"]]
            say({"failed": case["id"], "reason": reason(error)})


def reason(error: Exception) -> str:
    """What went wrong, as one sentence."""
    return " ".join(str(error).split())[:500] or type(error).__name__


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
