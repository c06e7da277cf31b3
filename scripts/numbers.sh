#!/usr/bin/env bash
# Measures every number of README.md and docs/, and writes the pages anew.
#
#   scripts/numbers.sh            the built-in model (some ten minutes on two cores)
#   scripts/numbers.sh GGUF_FILE  and SmolLM2-135M-Instruct, by its file, on texts that lie on any Debian machine
#
# Sessions lie in target/numbers and are gone on with when the script is run again. The tables that the pages
# quote are kept in docs/numbers; each says in its metadata which command made it.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$PWD/target/numbers"
numbers="$PWD/docs/numbers"
kvlens="${KVLENS:-}"
if [ -z "$kvlens" ]; then
    cargo build --release -p kvlens
    kvlens="${CARGO_TARGET_DIR:-$PWD/target}/release/kvlens"
fi
mkdir -p "$work" "$numbers"
cd "$work"

# keeps the tables that pages quote
keep() {
    mkdir -p "$numbers/$2"
    for table in "${@:3}"; do
        cp "$1/$table.parquet" "$numbers/$2/"
    done
}

rm -rf demo
"$kvlens" demo --no-window --out demo >demo.txt 2>/dev/null
# the times of the cost table are another machine's
sed -n '1,/^Cost beyond the prefill/p' demo.txt | sed '$d' >"$numbers/demo.txt"

"$kvlens" measure demo/demo.kvlens --out demo-queries --budgets 16,32,64,128,10%,20% --no-head-tests >/dev/null
keep demo-queries demo summary difference
"$kvlens" measure demo/demo.kvlens --out demo-methods --compare methods --budgets 16,32,64,128,10%,20% --no-head-tests >/dev/null
keep demo-methods demo-methods summary

facts() { echo "facts:length=512,samples=64,seed=$1,question=end,count=words facts:length=512,samples=64,seed=$2,question=start,count=words"; }
windows="last laq laq++ dapq judge-q lookahead-kv draft tova h2o streaming expected knorm random last:8"

# shellcheck disable=SC2046,SC2086
"$kvlens" capture --model demo --data $(facts 5000 5001) --windows $windows --decode 48 --out windows.kvlens --resume
for compare in queries methods; do
    "$kvlens" measure windows.kvlens --compare $compare --budgets 5%,10%,20% --no-head-tests --out "windows-$compare" >/dev/null
    keep "windows-$compare" "windows-$compare" summary difference
done
"$kvlens" figure windows.kvlens --kind recall --window last:8 last laq judge-q lookahead-kv --width double --out recall.svg
cp recall.svg recall.json recall.parquet "$numbers/.."

# what LookaheadKV's repository calls reduction=mean, beside no grouping
# shellcheck disable=SC2046
"$kvlens" capture --model demo --data $(facts 5000 5001) --windows judge-q judge-q:group=mean lookahead-kv lookahead-kv:group=mean \
    --decode 48 --out grouped.kvlens --resume
"$kvlens" measure grouped.kvlens --compare methods --budgets 5%,10%,20% --no-head-tests --out grouped >/dev/null
keep grouped grouped summary

# shellcheck disable=SC2046,SC2086
"$kvlens" capture --model demo --data $(facts 2024 2024) --windows $windows --decode 48 --keep keys,values --out facts.kvlens --resume
[ -e fidelity/fidelity_summary.parquet ] ||
    "$kvlens" fidelity facts.kvlens --budgets 5%,10%,20% --out fidelity >/dev/null
keep fidelity fidelity fidelity_summary recall_fidelity
# the same held against a truth that counts attention by what the values weigh
[ -e fidelity-weighted/recall_fidelity.parquet ] ||
    "$kvlens" fidelity facts.kvlens --budgets 10% --oracle-weight output-norm --out fidelity-weighted >/dev/null
keep fidelity-weighted fidelity-weighted recall_fidelity

held_out() {
    "$kvlens" capture --model demo --data "$2" --windows judge-q lookahead-kv last:32 last:8 laq laq++ dapq --decode 48 \
        --out "$1.kvlens" --resume
    "$kvlens" measure "$1.kvlens" --budgets 5%,10%,20% --no-head-tests --out "$1" >/dev/null
    keep "$1" "$1" summary
}
held_out held-out-512-start facts:length=512,samples=32,seed=1900,question=start,count=words
held_out held-out-512-end facts:length=512,samples=32,seed=1901,question=end,count=words
held_out held-out-1024-start facts:length=1024,samples=16,seed=1902,question=start,count=words

# the card of the built-in model: accuracy by task, length and depth, recall by head
card=()
for place in end start; do
    card+=("facts:length=256,samples=30,seed=7000,question=$place,count=words" "facts:length=512,samples=100,seed=7001,question=$place,count=words")
    card+=("facts:length=1024,samples=100,seed=7002,question=$place,count=words" "facts:length=2048,samples=40,seed=7003,question=$place,count=words")
    for task in key-value list multi-niah niah passage variable-tracking; do
        card+=("$task:length=512,samples=15,seed=7004,question=$place,count=words")
    done
done
"$kvlens" capture --model demo --data "${card[@]}" --windows last:8 --decode 64 --out card.kvlens --resume
rm -rf card && cp -r "$numbers/../../sessions/builtin/demo" card
"$kvlens" train card card.kvlens --model card
cp card/README.md "$numbers/../../sessions/builtin/demo/README.md"

if [ $# -gt 0 ]; then
    python3 "$OLDPWD/scripts/licence_needles.py" >needles.jsonl
    # shellcheck disable=SC2086
    "$kvlens" capture --model "$1" --dtype f32 --data needles.jsonl --chat --decode 24 --out real.kvlens --resume \
        --windows last last:8 laq dapq tova h2o streaming knorm random
    for compare in queries methods; do
        "$kvlens" measure real.kvlens --compare $compare --budgets 64,128,10% --no-head-tests --out "real-$compare" >/dev/null
        keep "real-$compare" "real-$compare" summary difference
    done
    [ -e real-fidelity/fidelity_summary.parquet ] ||
        "$kvlens" fidelity real.kvlens --budgets 128 --limit 8 --out real-fidelity >/dev/null
    keep real-fidelity real-fidelity fidelity_summary recall_fidelity
fi

cd "$OLDPWD"
KVLENS_RENEW_DOCS=1 cargo test --workspace --test docs
