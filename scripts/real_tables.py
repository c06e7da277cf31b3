#!/usr/bin/env python3
"""What the page on the real model tells besides `kvlens measure`'s own means, from its CSV tables, as Markdown.

    python3 scripts/real_tables.py MEASURED FOLDER    heads.md, cost.md and prompts.md

MEASURED is a folder that `kvlens measure --csv --budgets ONE` wrote.
"""

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

# a head looks up if the decode stage's own top tokens hold this much of what is asked for
LOOKS_UP = 0.5


def rows(folder, table):
    """The rows of a CSV table."""
    with open(Path(folder) / f"{table}.csv", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def look_up_heads(overlap):
    """(layer, head) of query heads that look the asked sentence up, by the decode stage of the needle prompts."""
    kept = defaultdict(list)
    for row in overlap:
        if row["window"] == "decode" and row["task"] == "needle" and row["evidence_kept"]:
            kept[int(row["layer"]), int(row["head"])].append(float(row["evidence_kept"]))
    return {head for head, shares in kept.items() if statistics.fmean(shares) >= LOOKS_UP}


def heads_table(overlap, budget):
    """Recall by kind of head and place of the question, means over samples and heads."""
    heads = {(int(row["layer"]), int(row["head"])) for row in overlap if row["head_kind"] == "query"}
    looking = look_up_heads(overlap)
    recall = defaultdict(list)
    for row in overlap:
        if row["recall"] and row["head_kind"] == "query" and row["window"] != "decode":
            kind = (int(row["layer"]), int(row["head"])) in looking
            recall[row["window"], kind, row["question_place"]].append(float(row["recall"]))
    windows = {window for window, _, _ in recall}
    cells = {key: statistics.fmean(values) for key, values in recall.items()}
    ordered = sorted(windows, key=lambda window: -cells.get((window, True, "start"), 0.0))
    layers = sorted({layer for layer, _ in looking})
    where = f"{layers[0]} to {layers[-1]}" if layers else "none"
    yield f"{len(looking)} of {len(heads)} query heads look up (layers {where} of {1 + max(layer for layer, _ in heads)}, counted from 0)."
    yield ""
    yield f"| window, {budget} | look up, end | look up, start | others, end | others, start |"
    yield "|---|---|---|---|---|"
    for window in ordered:
        shown = [cells.get((window, kind, place)) for kind in (True, False) for place in ("end", "start")]
        yield f"| `{window}` | " + " | ".join("" if cell is None else f"{cell:.2f}" for cell in shown) + " |"


def cost_table(costs):
    """Operations, tokens and memory beyond the prefill: what does not depend on how busy the machine was."""
    by_window = defaultdict(list)
    for row in costs:
        by_window[row["window"]].append(row)
    yield "| window | tokens through the model | GFLOP | MiB |"
    yield "|---|---|---|---|"
    for window, of_window in by_window.items():
        tokens, flops = (statistics.fmean(float(row[key]) for row in of_window) for key in ("extra_tokens", "flops"))
        memory = max(float(row["peak_bytes"]) for row in of_window) / 2**20
        yield f"| `{window}` | {tokens:.0f} | {flops / 1e9:.1f} | {memory:.1f} |"


def prompts_table(samples):
    """How many prompts of which lengths, and how many are answered right on the full cache."""
    groups = defaultdict(dict)
    for row in samples:
        groups[row["task"], row["question_place"]][row["content"]] = row
    yield "| task | question | prompts | tokens | decode steps | right on the full cache |"
    yield "|---|---|---|---|---|---|"
    for (task, place), of_group in groups.items():
        tokens, steps = ([int(row[key]) for row in of_group.values()] for key in ("prompt_tokens", "decode_tokens"))
        scores = [float(row["score"]) for row in of_group.values() if row["score"]]
        right = f"{statistics.fmean(scores):.2f}" if scores else "not asked"
        yield f"| {task} | at the {place} | {len(of_group)} | {min(tokens):,} to {max(tokens):,} | {min(steps)} to {max(steps)} | {right} |"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    measured, folder = sys.argv[1:]
    overlap = list(rows(measured, "overlap"))
    budget = next(row["budget"] for row in overlap)
    texts = {
        "heads": heads_table(overlap, budget),
        "cost": cost_table(rows(measured, "cost")),
        "prompts": prompts_table(rows(measured, "samples")),
    }
    for name, lines in texts.items():
        (Path(folder) / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
