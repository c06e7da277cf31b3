"""One prompt of 1,024 heads, 32,768 tokens and 8 windows: recall at 20 budgets by a top-k for each budget in
NumPy, and all metrics at all budgets in one pass by this project, in one run on one machine.

    cargo bench --workspace --bench budgets --no-run     # prints the path of the executable
    python analysis/benches/beside_numpy.py EXECUTABLE

NumPy's part is timed on one layer (32 heads), of which 32 make the prompt. Its memory is what it allocates,
by tracemalloc in a run of its own.
"""

import statistics
import subprocess
import sys
import time
import tracemalloc

import numpy as np

TOKENS, LAYERS, HEADS, WINDOWS, BUDGETS = 32_768, 32, 32, 8, 20


def top(scores, budget):
    """Which tokens are among the `budget` highest of each head, [heads, tokens]."""
    kept = np.zeros(scores.shape, dtype=bool)
    best = np.argpartition(scores, -budget, axis=-1)[:, -budget:]
    np.put_along_axis(kept, best, True, axis=-1)
    return kept


def layer(oracle, windows, budgets):
    """Recall of every window, head and budget; the oracle's top-k is made once for all windows."""
    recall = np.empty((len(windows), len(budgets), HEADS))
    for place, budget in enumerate(budgets):
        truth = top(oracle, budget)
        for index, window in enumerate(windows):
            recall[index, place] = (truth & top(window, budget)).sum(axis=-1) / budget
    return recall


def main(executable):
    random = np.random.default_rng(1)
    sides = random.random((WINDOWS + 1, HEADS, TOKENS), dtype=np.float32)
    budgets = np.unique(np.geomspace(1, TOKENS, BUDGETS).round().astype(int))
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        layer(sides[0], sides[1:], budgets)
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    layer(sides[0], sides[1:], budgets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    median = statistics.median(seconds)
    print(f"NumPy {np.__version__}, a top-k for each of {len(budgets)} budgets, recall alone")
    print(f"  one layer   {median:8.2f} s (median of {len(seconds)})")
    print(f"  the prompt  {median * LAYERS:8.2f} s ({LAYERS} layers)")
    print(f"  peak        {peak / 2**20:8.1f} MiB beyond the scores, one layer at a time", flush=True)
    subprocess.run([executable, "--bench", "a_prompt_of_1024"], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
