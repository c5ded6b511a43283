"""The mode in which a user's layer runs is the pass's, whatever mode its constructor left it in."""

import pytest
import torch
from torch import nn

from capratio.sweep.user_layer import UserLayer, prepare_user_trial


class LeftInEvaluation(nn.Sequential):
    def __init__(self, features: int) -> None:
        super().__init__(nn.Linear(features, features), nn.Dropout(0.5))
        self.eval()


@pytest.mark.parametrize(("pass_", "dropped"), [("forward", False), ("train", True)])
def test_a_pass_sets_the_mode_that_its_name_says(pass_: str, dropped: bool) -> None:
    trial = prepare_user_trial(UserLayer(f"{__name__}:LeftInEvaluation", {"features": 64}, 64, 8, pass_=pass_), seed=1)

    out = trial.call(trial.prepare(0))

    assert dropped == bool((out == 0).any())
    assert dropped == trial.module.training
    assert torch.isfinite(out).all()
