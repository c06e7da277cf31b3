#!/bin/sh
# Everything that is to be found out on a machine with a card, in one command of less than ten minutes and without a
# network: what is there, every operation, parity of small checkpoints, captures, trainings, evictions, and the speed of a
# model of 8 billion random weights. Each stage has its own limit; all goes into one JSON.
#
# Usage: scripts/check-gpu.sh PROGRAM OUT.json [more arguments of `kvlens check-device`]
#   PROGRAM           built by scripts/build-cuda.sh for the card's compute capability; `xz` packs it to a third
#   LD_LIBRARY_PATH   where CUDA 13's libcublas, libcurand and libnvrtc lie, such as a PyTorch's nvidia/cu13/lib
#
# Without a card: `scripts/check-gpu.sh PROGRAM OUT.json --device cpu --rehearse` runs the same stages by the operations
# that a card is run by, on small shapes.

set -eu

[ $# -ge 2 ] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
PROGRAM=$1 OUT=$2
shift 2
CLONE=$(cd "$(dirname "$0")/.." && pwd)

# a stage of 80 seconds at most, and the seven of them well below ten minutes
set -- --fixtures "$CLONE/sessions/tests/fixtures" --limit 80 --out "$OUT" "$@"
case " $* " in
*' --device '*) ;;
*) set -- --device cuda "$@" ;;
esac
exec timeout --signal=INT --kill-after=10 590 "$PROGRAM" check-device "$@"
