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
OURS = ["recall_of_1024_heads_and_8_windows", "five_metrics_of_1024_heads_and_8_windows"]


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
    """Median seconds by argument, as the benchmark prints them, and the processor seconds of the process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run([executable, "--bench", name], check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(shown, flush=True)
    units = {"s": 1.0, "ms": 1e-3}
    medians = {}
    for line in shown.splitlines():
        times = re.findall(r"([\d.]+) (ms|s)\b", line.split("alloc")[0])
        label = re.search(r"(\w+)\s", line.replace("├─", "").replace("╰─", "").replace("│", ""))
        if len(times) >= 4:
            value, unit = times[2]
            medians[label.group(1)] = float(value) * units[unit]
    return medians, after.ru_utime - before.ru_utime


def main(executable, rounds):
    random = np.random.default_rng(1)
    sides = random.random((WINDOWS + 1, HEADS, TOKENS), dtype=np.float32)
    budgets = np.unique(np.geomspace(1, TOKENS, BUDGETS).round().astype(int))
    print(f"NumPy {np.__version__}, {len(budgets)} budgets, {rounds} rounds")
    partition, found = [], {}
    for _ in range(rounds):
        partition.append(timed_layer(sides, budgets, by_partition))
        for name in OURS:
            for label, seconds in ours(executable, name)[0].items():
                found.setdefault(f"{name} {label}", []).append(seconds)
    clock, processor = (statistics.median(side) for side in zip(*partition))
    print(f"NumPy, argpartition for each budget  {clock:8.2f} s ({processor:.2f} s of the processor)")
    sorting = timed_layer(sides, budgets, by_sorting)
    print(f"NumPy, argsort for each budget       {sorting[0]:8.2f} s ({sorting[1]:.2f} s of the processor)")
    for name, seconds in found.items():
        median = statistics.median(seconds)
        print(f"{name:60} {median:8.3f} s, {clock / median:5.1f} times as fast as argpartition")
    tracemalloc.start()
    layer(sides[0], sides[1:], budgets, by_partition)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"NumPy's peak {peak / 2**20:.1f} MiB beyond the scores, one layer at a time")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5)
