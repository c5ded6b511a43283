"""expert_feedforward by Hugging Face's ``eager``, a peer: a loop over the visited experts."""

from functools import partial

from capratio.kernels.expert_feedforward.hugging_face import eager, run

expert_feedforward = partial(run, "hf-eager", eager)
