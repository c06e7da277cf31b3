#!/bin/sh
# Runs the CUDA build without a card: on a driver whose device is this computer (sessions/tests/host_cuda), which runs
# candle's own kernels, compiled for the host, has flash attention of its own, and counts what is asked of it. Every
# operation, the way to flash attention, all windows of three models, both trainings and evictions are held against the
# processor in f32, bf16 and f16, and the scores that all windows have made where the keys are; then launches, copies and
# waits of a decode step, of a prefill chunk and of a further token are held against their budgets.
#
# Needs what build-cuda.sh needs, and g++ and python3. Takes the 20 minutes of a core that the build takes, and two more.
#
# Usage: scripts/check-host-cuda.sh [OUT]
#   OUT                   where driver and reports go (default target/host-cuda)
#   KVLENS_CUDA_TOOLKIT   as of build-cuda.sh
#   KVLENS_PROGRAM        a program that was built by KVLENS_HOST_CUDA=1 KVLENS_FLASH_ATTENTION=1
#                         scripts/build-cuda.sh; else one is built
#   CARGO_TARGET_DIR      where the build goes (default OUT/build)

set -eu

CLONE=$(cd "$(dirname "$0")/.." && pwd)
OUT=${1:-$CLONE/target/host-cuda}
export KVLENS_CUDA_TOOLKIT="${KVLENS_CUDA_TOOLKIT:-$HOME/.cache/kvlens/cuda-13.0}"
HERE=$CLONE/sessions/tests/host_cuda
mkdir -p "$OUT"

PROGRAM=${KVLENS_PROGRAM:-}
if [ -z "$PROGRAM" ]; then
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$OUT/build}"
    KVLENS_HOST_CUDA=1 KVLENS_FLASH_ATTENTION=1 KVLENS_CUDA_PROFILE=dev "$CLONE/scripts/build-cuda.sh" --no-default-features
    PROGRAM=$CARGO_TARGET_DIR/debug/kvlens
fi
LD_LIBRARY_PATH="$KVLENS_CUDA_TOOLKIT/lib" "$HERE/build.sh" "$PROGRAM" "$KVLENS_CUDA_TOOLKIT" "$OUT/driver"
export LD_LIBRARY_PATH="$OUT/driver:$KVLENS_CUDA_TOOLKIT/lib"

echo "what a card for which the program was not built is told"
if HOST_CUDA_CAPABILITY=80 "$PROGRAM" check-device --device cuda --rehearse --out "$OUT/older-card.json"; then
    echo "a card of capability 8.0 was taken for one that runs kernels for 9.0" >&2
    exit 1
fi
grep -q 'CUDA_COMPUTE_CAP' "$OUT/older-card.json"

echo "what the device computes"
HOST_CUDA_COUNTS="$OUT/counts.json" "$PROGRAM" check-device --device cuda --rehearse --limit 900 \
    --fixtures "$CLONE/sessions/tests/fixtures" --out "$OUT/check.json"

echo "what it makes of keys that stay there"
python3 "$HERE/scores.py" "$PROGRAM" "$OUT"

python3 "$HERE/budgets.py" "$PROGRAM" "$OUT"
