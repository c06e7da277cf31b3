#!/bin/sh
# Everything that is to be found out on a machine with a card, in one command of less than ten minutes and without a
# network: what is there, every operation, flash attention, parity of small checkpoints, captures, trainings, evictions,
# and the speed and memory of a model of 8 billion random weights, beside those of transformers where a Python has it.
# Each stage has its own limit; all goes into one JSON.
#
# Usage: scripts/check-gpu.sh PROGRAM OUT.json [more arguments of `kvlens check-device`]
#   PROGRAM           built by scripts/build-cuda.sh for the card's compute capability, or what that packed (.xz)
#   LD_LIBRARY_PATH   where CUDA 13's libcublas, libcurand and libnvrtc lie, such as a PyTorch's nvidia/cu13/lib
#   PYTHON            a Python, best with torch and transformers (default python3)
#
# Without a card: `scripts/check-gpu.sh PROGRAM OUT.json --device cpu --rehearse` runs the same stages by the operations
# that a card is run by, on small shapes.

set -eu

[ $# -ge 2 ] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
PROGRAM=$1 OUT=$2
shift 2
CLONE=$(cd "$(dirname "$0")/.." && pwd)

case $PROGRAM in
*.xz)
    UNPACKED=$(mktemp)
    trap 'rm -f "$UNPACKED"' EXIT
    xz --decompress --stdout "$PROGRAM" >"$UNPACKED"
    chmod +x "$UNPACKED"
    PROGRAM=$UNPACKED
    ;;
esac

DEVICE=cuda ASKED=" $* "
case $ASKED in
*' --device '*)
    DEVICE=${ASKED#* --device }
    DEVICE=${DEVICE%% *}
    ;;
*) set -- --device cuda "$@" ;;
esac

# stages of 65 seconds at most, 480 in all, and transformers' 105: below ten minutes
failed=0
timeout --signal=INT --kill-after=10 480 "$PROGRAM" check-device --fixtures "$CLONE/sessions/tests/fixtures" \
    --limit 65 --out "$OUT" "$@" || failed=$?
if [ -s "$OUT" ]; then
    timeout --kill-after=5 105 "${PYTHON:-python3}" "$CLONE/scripts/transformers_speed.py" "$OUT" --device "$DEVICE" ||
        echo "transformers was not measured" >&2
fi
exit "$failed"
