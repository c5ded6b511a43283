"""Layers as a user might write them, right and wrong, and what a worker says of them."""

import io
import json
from dataclasses import replace

from capratio.records.codec import decode
from capratio.records.record import Point, Record
from capratio.sweep import worker
from capratio.sweep.case import Case, Sampling
from capratio.sweep.job import Job
from tests.sweep.points import POINT

NAME = "layers_of_this_test"
SOURCE = '''
"""Layers as a user might write them."""

import os
import random
import sys

import torch
from torch import nn

print("this module is imported")


class TopOne(nn.Module):
    def __init__(self, features, experts, dropout=0.0):
        super().__init__()
        self.router = nn.Linear(features, experts, bias=False)
        self.experts = nn.ModuleList(nn.Linear(features, features) for _ in range(experts))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        out = torch.zeros_like(x)
        for place in chosen.unique().tolist():
            out[chosen == place] = self.experts[place](x[chosen == place])
        return self.dropout(out)


class Talking(nn.Linear):
    def forward(self, x):
        print("this module is called")
        return super().forward(x)


class NotTwo(Talking):
    def forward(self, x):
        if len(x) == 2:
            raise ValueError("two tokens\\nare not taken")
        return super().forward(x)


class Raising(nn.Linear):
    def __init__(self, error):
        super().__init__(8, 8)
        self.error = error

    def forward(self, x):
        if self.error == "nothing":
            raise AssertionError
        raise {"assertion": AssertionError, "key": KeyError, "attribute": AttributeError}[self.error]("it went wrong")


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + random.random()


class Stateful(nn.Linear):
    """Its output depends on how often it was called."""

    def __init__(self, features, replaced):
        super().__init__(features, features)
        self.replaced = replaced
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        out = super().forward(x) + self.calls
        if self.replaced:
            self.calls = self.calls + 1
        else:
            self.calls += 1
        return out


class Normed(nn.Sequential):
    def __init__(self, features):
        super().__init__(nn.Linear(features, features), nn.BatchNorm1d(features))


class Leaving(nn.Linear):
    def __init__(self, where):
        if where == "constructor":
            sys.exit(0)
        super().__init__(8, 8)

    def forward(self, x):
        sys.exit("it leaves")


class Gone(nn.Linear):
    def forward(self, x):
        os._exit(0)


class Double(nn.Linear):
    def forward(self, x):
        return super().forward(x).double()


class Sequence(nn.Linear):
    def forward(self, x):
        batch, length, width = x.shape
        return super().forward(x)


class Detached(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach()


class Endless(nn.Module):
    def __init__(self):
        super().__init__()
        bytearray(10**15)


class Greedy(nn.Module):
    def forward(self, x):
        return x.add_(1)


class NoHalf(nn.Linear):
    def forward(self, x):
        if x.dtype != torch.float32:
            raise RuntimeError(f"no kernel is there for {x.dtype}")
        return super().forward(x)


class Fixed(nn.Linear):
    def to(self, *given):
        raise NotImplementedError("quantized weights are not converted")


class Stranded(nn.Linear):
    """Its scale is no buffer, and stays on the CPU."""

    def __init__(self, features):
        super().__init__(features, features)
        self.scale = torch.ones(features)

    def forward(self, x):
        return super().forward(x) * self.scale


class Settled(nn.Linear):
    def to(self, device, dtype):
        if device != "cpu":
            raise AssertionError(f"no kernel is built\\nfor {device}")
        return super().to(device, dtype)


class Beyond(nn.Linear):
    """Of two tokens it looks up a row that its table does not have, which on a GPU a kernel finds out."""

    def __init__(self):
        super().__init__(8, 8)
        self.table = nn.Embedding(3, 8)

    def forward(self, x):
        row = torch.full(x.shape[:1], 9 if len(x) == 2 else 1, device=x.device)
        return super().forward(x) + self.table(row)


class TwoInputs(nn.Linear):
    def forward(self, x, mask):
        return super().forward(x) * mask


class Inverse(nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)


class NotANumber(nn.Module):
    def forward(self, x):
        return x / 0 * 0


class Threads(nn.Linear):
    def forward(self, x):
        torch.set_num_threads(2)
        return super().forward(x)


def linear(features):
    return nn.Linear(features, features, bias=False)


def number():
    return 3
'''
GOOD = replace(
    POINT,
    layer=f"{NAME}:TopOne",
    in_features=8,
    out_features=8,
    depth=0,
    backend="module",
    options={"features": "8", "experts": "3"},
)
LINEAR = {"in_features": "8", "out_features": "8"}
QUICK = Sampling(min_samples=3, max_samples=3, time_limit_s=0.02, decode_tokens=4)


CASES = f"""
replicates = 1
[sampling]
min_samples = 3
max_samples = 3
time_limit_s = 0.02
[[cases]]
layer = "{NAME}:NotTwo"
in_features = 8
tokens = [1, 2, 3]
input = "gaussian"
options = {{ in_features = 8, out_features = 8 }}
"""


def measured(*points: Point) -> list[Record]:
    cases = tuple(Case(point, "suite", "group", 1, sampling=QUICK) for point in points)
    events = io.StringIO()
    worker.run_job(Job(cases, replicate=0, block=0, run_started_s=0.0), events)
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    return [decode(event["record"]) for event in said if "record" in event]
