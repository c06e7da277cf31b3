"""One prompt of 1,024 heads, 32,768 tokens and 8 windows: recall at 20 budgets by a top-k for each budget in
NumPy, and by one pass of this project, alternating in one run on one machine.

    cargo bench --workspace --bench budgets --no-run     # prints the path of the executable
    python analysis/benches/beside_numpy.py EXECUTABLE [ROUNDS]

NumPy's part is timed on one layer (32 heads), of which 32 make the prompt: `argpartition`, its fast way to a
top-k, and in the last round a full `argsort` per budget as well. Its memory is what it allocates, by
tracemalloc in a run of its own. Processor seconds stand beside those of the clock: on a machine that is
busy with other work, only they tell what was done.
"""

import re
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc

import numpy as np

TOKENS, LAYERS, HEADS, WINDOWS, BUDGETS = 32_768, 32, 32, 8, 20
PROMPTS_A_RUN = 3
OURS = {
    "recall at 20 budgets": "recall_at_20_budgets_of_1024_heads_and_8_windows",
    "recall at every budget": "recall_at_every_budget_of_1024_heads_and_8_windows",
    "five metrics at 20 budgets": "five_metrics_of_1024_heads_and_8_windows",
}


def by_partition(scores, budget):
    return np.argpartition(scores, -budget, axis=-1)[:, -budget:]


def by_sorting(scores, budget):
    return np.argsort(scores, axis=-1)[:, -budget:]


def top(scores, budget, best_of):
    """Which tokens are among the `budget` highest of each head, [heads, tokens]."""
    kept = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(kept, best_of(scores, budget), True, axis=-1)
    return kept


def layer(oracle, windows, budgets, best_of):
    """Recall of every window, head and budget; the oracle's top-k is made once for all windows."""
    recall = np.empty((len(windows), len(budgets), HEADS))
    for place, budget in enumerate(budgets):
        truth = top(oracle, budget, best_of)
        for index, window in enumerate(windows):
            recall[index, place] = (truth & top(window, budget, best_of)).sum(axis=-1) / budget
    return recall


def timed_layer(sides, budgets, best_of):
    """Seconds of the clock and of the processor for a whole prompt."""
    started, used = time.perf_counter(), time.process_time()
    layer(sides[0], sides[1:], budgets, best_of)
    return (time.perf_counter() - started) * LAYERS, (time.process_time() - used) * LAYERS


def ours(executable, name):
    """Seconds of the clock (the median that the benchmark prints) and of the processor for a whole prompt; the
    latter with a share of making the scores."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [executable, "--bench", name, "--sample-count", str(PROMPTS_A_RUN)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    line = next(line for line in shown.splitlines() if name in line)
    _fastest, _slowest, median, *_ = re.findall(r"([\d.]+) (ms|s)\b", line)
    return float(median[0]) * {"s": 1.0, "ms": 1e-3}[median[1]], used / PROMPTS_A_RUN


def main(executable, rounds):
    random = np.random.default_rng(1)
    sides = random.random((WINDOWS + 1, HEADS, TOKENS), dtype=np.float32)
    budgets = np.unique(np.geomspace(1, TOKENS, BUDGETS).round().astype(int))
    print(f"NumPy {np.__version__}, {len(budgets)} budgets, medians of {rounds} rounds")
    partition, found = [], {label: [] for label in OURS}
    for _ in range(rounds):
        partition.append(timed_layer(sides, budgets, by_partition))
        for label, name in OURS.items():
            found[label].append(ours(executable, name))
    numpy_clock, numpy_processor = (statistics.median(side) for side in zip(*partition))
    sorting_clock, sorting_processor = timed_layer(sides, budgets, by_sorting)
    print("                                     clock s   processor s")
    print(f"NumPy, argpartition for each budget {numpy_clock:8.2f} {numpy_processor:8.2f}")
    print(f"NumPy, argsort for each budget      {sorting_clock:8.2f} {sorting_processor:8.2f}")
    for label, seconds in found.items():
        clock, processor = (statistics.median(side) for side in zip(*seconds))
        times = f"{numpy_clock / clock:5.1f} and {numpy_processor / processor:5.1f} times argpartition"
        print(f"this project, {label:26} {clock:6.2f} {processor:8.2f}   {times}")
    tracemalloc.start()
    layer(sides[0], sides[1:], budgets, by_partition)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"NumPy's peak {peak / 2**20:.1f} MiB beyond the scores, one layer at a time")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
