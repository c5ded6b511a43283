"""The process that measures the machine's ceilings, so that they are read as a case is: in a process of their own."""

import json
import sys

from capratio.measure.ceilings import measure_ceilings
from capratio.sweep.parent import die_with_parent


def main() -> None:
    """Measure what the line on standard input asks for, and write the ceilings as one event."""
    die_with_parent()
    events = sys.stdout
    sys.stdout = sys.stderr
    asked = json.loads(sys.stdin.readline())
    ceilings = measure_ceilings(
        asked["threads"], tuple(asked["dtypes"]), asked["time_budget_s"], asked["measured_at_s"], asked["device"]
    )
    events.write(json.dumps({"ceilings": ceilings.to_dict()}) + "\n")
    events.flush()


if __name__ == "__main__":
    main()
