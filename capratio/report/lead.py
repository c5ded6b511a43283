"""The page's title and its first sentences: what was measured, where, when, and what is still missing."""

from typing import TYPE_CHECKING

from capratio.cost.spec import FORMS, LAYERS
from capratio.report.side_by_side import asked_places
from capratio.units import counted, whole

if TYPE_CHECKING:
    import pandas as pd

    from capratio.records.store import Run


# More names of users' layers are no sentence.
_MOST_USERS = 3


def headline_title(run: "Run") -> str:
    """The page's title: what, and on which machine."""
    if any(record.point.layer not in LAYERS for record in run.records):
        several = any(len(backends) > 1 for backends in asked_places(run.records).values())
        beside = " beside its peers" if several else ""
        return f"What does a parameter cost{beside} on {machine_name(run)}?"
    return f"Do tree-gated weights cost what they promise on {machine_name(run)}?"


def machine_name(run: "Run") -> str:
    """What measured, by the name in ``machine.json``: the accelerator where all cases ran on it, else the processor."""
    gpus, processor = run.machine.get("gpus"), run.machine.get("cpu_model")
    if isinstance(gpus, list) and gpus and all(record.point.device == "cuda" for record in run.records):
        return str(gpus[0])
    return processor if isinstance(processor, str) and processor else "a machine without a name"


def lead_sentence(run: "Run", frame: "pd.DataFrame") -> str:
    """What was measured where and when, in one sentence."""
    layers = sorted(set(frame["layer"]), key=lambda layer: (LAYERS.index(layer) if layer in LAYERS else 9, layer))
    # A user's layer is named by its class alone, and many are counted; the tables have their names in full.
    own, users = (
        [name for name in layers if ":" not in name],
        [name.rpartition(":")[2] for name in layers if ":" in name],
    )
    named = [*own, *(users if len(users) <= _MOST_USERS else [f"{len(users)} layers named by their classes"])]
    measured = [record for record in run.records if record.measured]
    if not measured:
        cases = len({record.case for record in run.records})
        return f"None of {cases} cases gave a measurement on {machine_name(run)}."
    days = sorted({record.started_at[:10] for record in measured})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    counts = sorted({int(count) for count in frame["replicates"]})
    processes = ("" if len(counts) == 1 else f"{counts[0]} to ") + counted(counts[-1], "process")
    threads = _words(frame, "threads")
    forms = sorted(set(frame["form"]), key=lambda form: (FORMS.index(form) if form in FORMS else 9, form))
    in_forms = "" if forms == ["path"] else f" in {_listed(forms)} form"
    verb = "was" if len(frame) == 1 else "were"
    return (
        f"{counted(len(frame), 'case')} of {_listed(named)}{in_forms} {verb} measured on "
        f"{machine_name(run)} with {_listed(threads)} thread{'' if threads == ['1'] else 's'} in "
        f"{_listed(_words(frame, 'dtype'))} on {_listed(_words(frame, 'input'))} input, {processes} a case, "
        f"on {when}."
    )


def unfinished(run: "Run") -> str:
    """What the run still lacks, in one or two sentences; empty where nothing is known to be missing."""
    said = []
    if run.torn:
        said.append("The last line of the records is torn: one measurement was cut off and is missing here.")
    if run.planned_done < run.planned_count:
        planned = f"{whole(run.planned_done)} of {whole(run.planned_count)} planned measurements"
        said.append(f"{planned} are there; the same sweep goes on.")
    return " ".join(said)


def _words(frame: "pd.DataFrame", name: str) -> list[str]:
    return [str(value) for value in sorted(frame[name].unique())]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
