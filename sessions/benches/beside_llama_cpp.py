#!/usr/bin/env python3
"""Prefill and decode of a quantised model here and in llama.cpp, in turns.

    python3 sessions/benches/beside_llama_cpp.py PROGRAM MODEL.gguf TEXT [TURNS]

Needs llama-cpp-python. Both get the first 1,024 tokens of TEXT and two threads. Here a capture with the window `knorm`,
which looks at no attention, is timed; its start and the loading of the model are taken off by a capture of a short
prompt, and a decode step is the difference of captures with 33 and with 1. Medians; clock / processor seconds.
"""

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llama_cpp import Llama

TOKENS, LLAMA_STEPS, STEPS = 1024, 16, 33


def processor_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def captured(program, model, dtype, prompt, steps):
    """(clock, processor) seconds of one capture."""
    out = prompt.parent / "s.kvlens"
    shutil.rmtree(out, ignore_errors=True)
    clock, processor = time.perf_counter(), processor_of_children()
    words = ["capture", "--model", model, "--dtype", dtype, "--data", prompt, "--windows", "knorm", "--decode", str(steps)]
    words += ["--ignore-eos", "--keep", "keys", "--out", out]
    subprocess.run([program, *words], check=True, capture_output=True)
    return time.perf_counter() - clock, processor_of_children() - processor


def timed(work):
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def per(difference, count):
    return tuple(value / count for value in difference)


def minus(one, other):
    return tuple(a - b for a, b in zip(one, other))


def main():
    program, model, text = sys.argv[1:4]
    turns = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    llama = Llama(model, n_ctx=2 * TOKENS, n_batch=512, n_threads=2, n_threads_batch=2, verbose=False)
    ids = llama.tokenize(Path(text).read_bytes())[:TOKENS]
    folder = Path(tempfile.mkdtemp())
    long, short = folder / "long.txt", folder / "short.txt"
    long.write_bytes(llama.detokenize(ids))
    short.write_text("Hello there, this is short.", encoding="utf-8")
    times = {}

    def note(who, prefill, step):
        times.setdefault(who, []).append((prefill, step))

    llama.eval(ids)
    for _ in range(turns):
        llama.reset()
        prefill = timed(lambda: llama.eval(ids))
        steps = timed(lambda: [llama.eval([token]) for token in ids[:LLAMA_STEPS]])
        note("llama.cpp", prefill, per(steps, LLAMA_STEPS))
        for dtype in ("auto", "f32"):
            one = captured(program, model, dtype, long, 1)
            many = captured(program, model, dtype, long, STEPS)
            start = captured(program, model, dtype, short, 1)
            note(f"kvlens --dtype {dtype}", minus(one, start), per(minus(many, one), STEPS - 1))
    shutil.rmtree(folder)
    for who, taken in times.items():
        cells = [statistics.median(entry[what][kind] for entry in taken) for what in (0, 1) for kind in (0, 1)]
        print(f"| {who} | {cells[0]:.2f} | {cells[1]:.2f} | {1e3 * cells[2]:.0f} | {1e3 * cells[3]:.0f} |")


main()
