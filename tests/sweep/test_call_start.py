"""A call starts from the buffers and the random numbers that were there when its start was made."""

import torch
from torch import nn

from capratio.sweep.call_start import CallStart


class Counting(nn.Module):
    """Its state changes by one a call: written in place, replaced, written by a batch norm, and not at all."""

    written: torch.Tensor
    replaced: torch.Tensor
    fixed: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("written", torch.zeros(2))
        self.register_buffer("replaced", torch.zeros(2))
        self.register_buffer("fixed", torch.zeros(2))
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.written += 1
        self.replaced = self.replaced + 1
        normed: torch.Tensor = self.norm(x)
        return normed + self.written + self.replaced + torch.rand(2)


def state(module: nn.Module) -> dict[str, list[float]]:
    return {name: buffer.double().flatten().tolist() for name, buffer in module.named_buffers()}


def test_what_a_call_changes_is_put_back_and_what_it_draws_is_drawn_again() -> None:
    module, x = Counting(), torch.arange(8.0).view(4, 2)
    start, before = CallStart(module, seed=3), state(module)

    start.again()
    first = module(x)
    start.note_changes()
    assert before != state(module)
    for _ in range(2):
        start.again()
        assert before == state(module)
        assert torch.equal(first, module(x))


def test_a_buffer_that_no_call_changes_is_left_alone() -> None:
    module = Counting()
    start = CallStart(module, seed=3)
    module(torch.ones(4, 2))
    start.note_changes()
    fixed, written = module.fixed, module.written

    start.again()

    assert fixed is module.fixed
    assert written is not module.written


class Reading(nn.Module):
    """Two names of one buffer."""

    one: torch.Tensor
    other: torch.Tensor

    def __init__(self, count: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("one", count)
        self.register_buffer("other", count)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.one + self.other


class Sharing(nn.Module):
    """Counts in a buffer that another module reads."""

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(2))
        self.reader = Reading(self.count)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        read: torch.Tensor = self.reader(x)
        return read


def test_a_buffer_of_several_owners_stays_one() -> None:
    module, x = Sharing(), torch.ones(4, 2)
    start = CallStart(module, seed=3)

    outputs = []
    for _ in range(3):
        start.again()
        outputs.append(module(x))
        start.note_changes()

    assert all(torch.equal(torch.full((4, 2), 3.0), out) for out in outputs)
    assert module.count is module.reader.one is module.reader.other


def test_what_another_pass_changed_is_put_back_when_the_pass_changes() -> None:
    module, x = Counting(), torch.arange(8.0).view(4, 2)
    start, before = CallStart(module, seed=3), state(module)
    start.note_changes()
    module(x)

    start.again()
    assert before != state(module)
    start.again_after_others()
    assert before == state(module)


def test_state_that_a_call_under_inference_mode_left_is_put_back() -> None:
    module, x = Counting().eval(), torch.ones(4, 2)
    start, before = CallStart(module, seed=3), state(module)

    for _ in range(3):
        start.again()
        assert before == state(module)
        with torch.inference_mode():
            module(x)
        start.note_changes()
