"""expert_feedforward by Hugging Face's ``grouped_mm``, a peer: torch's grouped products."""

from functools import partial

from capratio.kernels.expert_feedforward.hugging_face import grouped_mm, run

expert_feedforward = partial(run, "hf-grouped-mm", grouped_mm)
