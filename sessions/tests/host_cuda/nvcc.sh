#!/bin/sh
# nvcc for a build that is to run on the host-backed driver: as it is, but for candle's kernels of quantised matrices, of
# experts and of flash attention. They reach the card past the driver's functions, through CUDA's runtime, take most of a
# build's time, and do not run on the host. Functions that end the program stand in for the first two; the last is left to
# the driver (flash.cpp). Of the others the driver reads the names of the entries and no instruction, so they are not
# optimised.
#
# KVLENS_NVCC names the real one.

set -eu
source= output= previous=
for argument in "$@"; do
    case $argument in
    *src/moe/*.cu | *src/mmvq_gguf.cu | *src/mmq_gguf/*.cu | *kernels/flash_*.cu) source=$argument ;;
    esac
    [ "$previous" != -o ] || output=$argument
    previous=$argument
done

# A function for each that candle declares.
stand_ins() {
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    sed -n 's/.*pub fn \([A-Za-z0-9_]*\).*/\1/p' src/ffi.rs | sort -u |
        sed 's/.*/void &(void) { fputs("host CUDA: & does not run on the host\\n", stderr); abort(); }/'
}

case $source in
'') exec "$KVLENS_NVCC" "$@" -Xcicc -O0 ;;
# all of them once, and no second time
*mmvq_gguf.cu) stand_ins | cc -fPIC -c -x c - -o "$output" ;;
*) cc -fPIC -c -x c /dev/null -o "$output" ;;
esac
