"""How long ``capratio COMMAND --help`` takes in a fresh process; the promise is 0.3 s."""

import statistics
import subprocess
import sys
import time

from capratio.cli.main import COMMANDS
from capratio.display import text_table
from capratio.units import seconds

PROMISED_S = 0.3
PROCESSES = 7


def help_times_s(arguments: list[str]) -> list[float]:
    """Seconds of each of some fresh processes, in time order."""
    taken = []
    for _ in range(PROCESSES):
        start_s = time.perf_counter()
        subprocess.run([sys.executable, "-m", "capratio.cli.main", *arguments], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start_s)
    return taken


def main() -> None:
    """Print a row a command: median, slowest, and whether the median keeps the promise."""
    rows = []
    for arguments in ([], *([name] for name in COMMANDS)):
        taken = help_times_s([*arguments, "--help"])
        median_s = statistics.median(taken)
        rows.append(
            (
                " ".join(["capratio", *arguments, "--help"]),
                seconds(median_s),
                seconds(max(taken)),
                median_s <= PROMISED_S,
            )
        )
    print(text_table(["command", "median", "slowest", f"within {seconds(PROMISED_S)}"], rows, left=["command"]))


if __name__ == "__main__":
    main()
