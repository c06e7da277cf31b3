#!/usr/bin/env bash
# The recipes of papers on a real model, which docs/recipes.md shows: SmolLM2-135M-Instruct on prompts of its study.
#
#   scripts/real-study.sh      fetches the model, makes the prompts and trains the windows, if that was not done yet
#   scripts/real-recipes.sh    runs every recipe and writes the page (half an hour on two cores)
#
# Everything lies in the study's folder (WORK, or target/real-study); what was stopped is gone on with when the script is
# run again. Set KVLENS to a built program to take that.
set -euo pipefail
cd "$(dirname "$0")/.."

clone=$PWD
work=${WORK:-$clone/target/real-study}
kvlens=${KVLENS:-}
if [ -z "$kvlens" ]; then
    cargo build --release --workspace
    kvlens=${CARGO_TARGET_DIR:-$clone/target}/release/kvlens
fi
cd "$work"
cp "$clone"/docs/trained/smollm2-135m-instruct/*.safetensors .

# the study's needles in documents of about 1,100 to 1,500 tokens, and its summaries with the question at the end: a
# window moves into the generation only where the answer is long
python3 - <<'PY'
import json

with open("study.jsonl", encoding="utf-8") as lines:
    study = [json.loads(line) for line in lines]
needles = [row for row in study if row["task"] == "needle" and len(row["context"]) < 7000]
at_end = [row for row in needles if row["question_place"] == "end"]
summaries = [row for row in study if row["task"] == "summary" and row["question_place"] == "end"]
prompts = {"needles": needles, "needles-8": needles[:8], "needles-end": at_end, "summaries-end": summaries[:6]}
for name, rows in prompts.items():
    with open(f"{name}.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
PY

mkdir -p "$clone/docs/recipes" "$clone/docs/numbers/recipes"

# NAME PROMPTS: runs the recipe and keeps its page, one heading lower, with its figures
recipe() {
    "$kvlens" recipe "$1" --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype f32 --chat --data "$2.jsonl" --out "$1" --resume
    for figure in "$1"/*.svg; do
        cp "$figure" "$clone/docs/recipes/$1-$(basename "$figure")"
    done
    sed -e 's/^# /## /' -e "s#](\([a-z-]*\)\.svg)#](recipes/$1-\1.svg)#" "$1/page.md" >"$clone/docs/numbers/recipes/$1.md"
}
recipe paper-orders needles
recipe judge-q-hit-rate needles
recipe dapq-cosine needles-end
recipe laq-place summaries-end
recipe snapkv-window-size needles-8
recipe lookahead-overhead needles-end

cd "$clone"
KVLENS_RENEW_DOCS=1 cargo test --workspace --test docs
