#!/usr/bin/env python3
"""Budgets of a decode step and of a prefill chunk on the host-backed driver: launches, copies, waits.

Usage: budgets.py PROGRAM OUT, with the driver in LD_LIBRARY_PATH. What a step takes is the difference of two captures that
decode unequally many tokens; what a chunk takes, of two whose prompts have unequally many. Writes OUT/budgets.json and
prints a table; ends with 1 where a budget is exceeded.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAM, OUT = sys.argv[1], Path(sys.argv[2])
LAYERS = 4  # of the built-in model
CHUNK = 512  # tokens of a prefill chunk
STEP_LAUNCHES = 35 * LAYERS  # of a decode step, that keeps its queries
# scores of all layers and heads that a further token brings, where scores are kept: of the decode stage and one window,
# each under one scoring for all and as published
KEPT_SCORES = 2 * 2
# where keys are kept, of each window: its own, and those that rank an eviction before it looks ahead
SCORES_A_WINDOW = 2
CHUNK_COPIES = 11 * LAYERS  # to the device, of a prefill chunk: most say how a tensor lies in memory, in a few bytes


def capture(dtype, length, decode, windows, keep="keys"):
    """Counts of a capture of one prompt of some `length` tokens, and the session's manifest."""
    session, counts = OUT / "budget.kvlens", OUT / "budget-counts.json"
    shutil.rmtree(session, ignore_errors=True)
    data = f"facts:length={length},samples=1,seed=5"
    command = [PROGRAM, "capture", "--model", "demo", "--data", data, "--windows", *windows.split()]
    command += ["--decode", str(decode), "--ignore-eos", "--device", "cuda", "--dtype", dtype]
    command += ["--keep", keep, "--out", str(session)]
    environment = {**os.environ, "HOST_CUDA_COUNTS": str(counts)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{ran.stderr}")
    manifest = json.loads((session / "manifest.json").read_text())
    return json.loads(counts.read_text()), manifest


def tokens_of(manifest):
    return manifest["samples"][0]["prompt_tokens"]


def windows_of(manifest):
    """How many windows observed the sample of the last capture; `all` stands for many."""
    with open(OUT / "budget.kvlens" / manifest["samples"][0]["file"], "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    # the first observation is the decode stage's
    return len(json.loads(header["__metadata__"]["kvlens"])["observations"]) - 1


def flat(counts):
    """What is budgeted of some counts."""
    return {
        "launches": counts["launches"],
        "to_device": counts["to_device"]["count"],
        "to_device_bytes": counts["to_device"]["bytes"],
        "to_host": counts["to_host"]["count"],
        "to_host_bytes": counts["to_host"]["bytes"],
        "synchronisations": counts["synchronisations"],
        "events": counts["events"],
    }


def per(more, fewer, count):
    return {name: (more[name] - fewer[name]) / count for name in more}


def step(dtype, length):
    few, manifest = capture(dtype, length, 4, "last:8")
    many, _ = capture(dtype, length, 12, "last:8")
    return per(flat(many), flat(few), 8), few, tokens_of(manifest)


def chunk(dtype, length, short, few):
    """Against a capture of `few` tokens that counted `short`."""
    long, manifest = capture(dtype, length, 4, "last:8")
    many, more = tokens_of(manifest), per(flat(long), flat(short), 1)
    chunks = -(-many // CHUNK) - -(-few // CHUNK)
    return {name: count / chunks for name, count in more.items()}, more["to_host_bytes"] / (many - few)


def of_a_token(windows, keep):
    """Bytes that a further prompt token brings to the host, with the counts of the longer of two captures, its tokens,
    its model's shape and its number of windows."""
    (short, few), (long, many) = (capture("f32", length, 4, windows, keep) for length in (128, 450))
    further = tokens_of(many) - tokens_of(few)
    more = (long["to_host"]["bytes"] - short["to_host"]["bytes"]) / further
    return more, flat(long), tokens_of(many), many["shape"], windows_of(many)


def main():
    failed, table = [], []

    def row(what, counts):
        table.append((what, counts))
        print(what, counts, file=sys.stderr, flush=True)

    short, _, short_tokens = step("f32", 128)
    long, whole, long_tokens = step("f32", 450)
    half, _, half_tokens = step("bf16", 128)
    row(f"a decode step behind {short_tokens} tokens, f32", short)
    row(f"a decode step behind {long_tokens} tokens, f32", long)
    row(f"a decode step behind {half_tokens} tokens, bf16", half)
    of_chunk, key_bytes = chunk("f32", 900, whole, long_tokens)
    row("a further prefill chunk, f32", of_chunk)
    of_all, every, _, _, windows = of_a_token("all", "keys")
    row(f"a capture of {long_tokens} tokens, last:8", flat(whole))
    row(f"a capture of {long_tokens} tokens, all windows", every)
    of_scores, scored, tokens, shape, _ = of_a_token("last:8", "scores")
    row(f"a capture of {tokens} tokens, last:8, that keeps scores", scored)
    if long["to_device_bytes"] > short["to_device_bytes"]:
        failed.append("a step behind a longer prompt sends more bytes to the device")
    # the queries of a step are brought with the others' at the end, and are no more behind a longer prompt
    if long["to_host_bytes"] > short["to_host_bytes"]:
        failed.append("a step behind a longer prompt brings more bytes")
    for step_counts in (short, long, half):
        # the logits: the host chooses the token
        if step_counts["to_host"] + step_counts["synchronisations"] > 1:
            failed.append(f"a step waits for the device more than once: {step_counts}")
        if step_counts["launches"] > STEP_LAUNCHES:
            failed.append(f"a step takes {step_counts['launches']} launches")
        if step_counts["events"] > 0:
            failed.append("events are tracked")
    if of_chunk["to_device"] > CHUNK_COPIES:
        failed.append(f"a prefill chunk sends {of_chunk['to_device']} copies")
    scores = shape["layers"] * shape["query_heads"] * 4
    keys = shape["layers"] * shape["kv_heads"] * shape["head_dim"] * 4
    for what, brought, budget in (
        ("scores are kept", of_scores, KEPT_SCORES * scores),
        # keys cross once, whichever and how many windows ask for them
        ("keys are kept and all windows observe", of_all, keys + SCORES_A_WINDOW * windows * scores),
    ):
        print(f"where {what}, a token brings {brought:,.0f} bytes and may bring {budget:,}", file=sys.stderr)
        if brought > budget:
            failed.append(f"where {what}, a token brings {brought:,.0f} bytes, and may bring {budget:,}")
    if key_bytes > keys:
        failed.append(f"where keys are kept, a token brings {key_bytes:,.0f} bytes, its keys have {keys:,}")
    names = list(table[0][1])
    print("| what | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * len(names))
    for what, row in table:
        print(f"| {what} | " + " | ".join(f"{row[name]:,.1f}" for name in names) + " |")
    (OUT / "budgets.json").write_text(json.dumps(dict(table), indent=1) + "\n")
    for sentence in failed:
        print(sentence, file=sys.stderr)
    sys.exit(1 if failed else 0)


main()
