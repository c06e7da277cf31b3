#!/bin/sh
# Compiles the kernels that a CUDA build carries for each kind of card, and has NVIDIA's assembler take them for it and for
# later ones, as the driver does when a program starts there. Needs no card: half an hour of a core.
#
# Usage: scripts/check-kernels.sh [CAPABILITY...]     (default 75 80 86 89 90 120)
#   KVLENS_CUDA_TOOLKIT   the toolkit that build-cuda.sh put together (default ~/.cache/kvlens/cuda-13.0)
set -eu

CLONE=$(cd "$(dirname "$0")/.." && pwd)
TOOLKIT=${KVLENS_CUDA_TOOLKIT:-$HOME/.cache/kvlens/cuda-13.0}
[ $# -gt 0 ] || set -- 75 80 86 89 90 120
VERSION=$(awk '/^name = "candle-kernels"$/ { getline; print $3 }' "$CLONE/Cargo.lock" | tr -d '"')
(cd "$CLONE" && cargo fetch --locked --quiet)
SOURCES=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/candle-kernels-"$VERSION"/src)
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

for capability in "$@"; do
    for source in "$SOURCES"/*.cu; do
        name=$(basename "$source" .cu)
        # built for one card, not carried as PTX
        [ "$name" != mmvq_gguf ] || continue
        "$TOOLKIT/bin/nvcc" --ptx -arch="sm_$capability" -std=c++17 -O3 --expt-relaxed-constexpr \
            -I"$SOURCES" -I"$TOOLKIT/include" "$source" -o "$OUT/$name.ptx"
        for card in 75 80 86 89 90 100 120; do
            [ "$card" -lt "$capability" ] || "$TOOLKIT/bin/ptxas" -arch="sm_$card" "$OUT/$name.ptx" -o /dev/null
        done
    done
    echo "kernels for capability $capability are taken for it and for later cards"
done
