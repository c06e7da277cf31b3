#!/bin/sh
# Builds the host-backed driver: one library under the names of the driver, cuBLAS, cuRAND and what else the program asks
# for, to be put in front of the real ones by LD_LIBRARY_PATH.
#
# Usage: build.sh PROGRAM TOOLKIT OUT
#   PROGRAM   a kvlens that was built with CUDA
#   TOOLKIT   NVIDIA's toolkit: its headers
#   OUT       a folder

set -eu
PROGRAM=$1 TOOLKIT=$2 OUT=$3
HERE=$(cd "$(dirname "$0")" && pwd)
LOCKED=$(sed -n '/^name = "candle-kernels"/{n;s/version = "\(.*\)"/\1/p;}' "$HERE/../../../Cargo.lock")
SOURCES=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -name "candle-kernels-$LOCKED")/src
mkdir -p "$OUT/kernels" "$OUT/objects"

compile() {
    # not the fortified longjmp, which takes another thread's stack for damage; and numbers may be read as others, as by nvcc
    g++ -std=c++17 -O2 -fPIC -w -U_FORTIFY_SOURCE -fno-strict-aliasing -DHOST_CUDA_ARCH="${HOST_CUDA_ARCH:-900}" -I"$HERE" -I"$OUT/kernels" \
        -I"$TOOLKIT/include" -I"$TOOLKIT/include/cccl" "$@"
}

# what the toolkit's headers ask is whether they are read for a card; candle's kernels ask for which
for source in "$SOURCES"/*.cu "$SOURCES"/*.cuh; do
    sed -e 's/__CUDA_ARCH__/HOST_CUDA_ARCH/g' -e 's/extern __shared__/extern/' "$source" >"$OUT/kernels/$(basename "$source")"
done
for kind in affine binary cast fill indexing quantized reduce sort ternary unary; do
    unit=$OUT/kernels/$kind.cpp
    printf '#include "device.hpp"\n#include "%s.cu"\n' $kind >"$unit"
    names=$(compile -E "$unit" | grep -oE 'extern "C" +void +[A-Za-z0-9_]+' | sed 's/.* //' | sort -u)
    {
        cat "$unit"
        # what a block asks for at its launch
        [ $kind != sort ] || echo 'int dst_row[1 << 16];'
        echo 'static const host_cuda::Kernel all[] = {'
        for name in $names; do
            echo "    {\"$name\", &host_cuda::Call<&$name>::with},"
        done
        echo '};'
        echo '[[gnu::constructor]] static void add() { host_cuda::add_kernels(all, sizeof all / sizeof *all); }'
    } >"$unit.whole.cpp"
    compile -c "$unit.whole.cpp" -o "$OUT/objects/$kind.o"
done
compile -c "$HERE/execution.cpp" -o "$OUT/objects/execution.o"
compile -c "$HERE/driver.cpp" -o "$OUT/objects/driver.o"
for part in libraries flash; do
    compile -march=native -O3 -c "$HERE/$part.cpp" -o "$OUT/objects/$part.o"
done

# what else the program is linked to says that it is not done
nm -D --undefined-only "$PROGRAM" | sed -n 's/^ *U \(\(cu[A-Z]\|cublas\|curand\|nvrtc\)[A-Za-z0-9_]*\).*/\1/p' | sort -u |
    sed 's/.*/__attribute__((weak)) int &(void) { fputs("host CUDA: & is not done\\n", stderr); return 801; }/' |
    { echo '#include <stdio.h>'; cat; } >"$OUT/objects/not_done.c"
cc -fPIC -c "$OUT/objects/not_done.c" -o "$OUT/objects/not_done.o"

# each of candle's files has the same small functions, which are no inline ones
g++ -shared -Wl,--allow-multiple-definition -o "$OUT/libcuda.so.1" "$OUT"/objects/*.o
ldd "$PROGRAM" | sed -n 's/^[[:space:]]*\(lib\(cublas\|cublasLt\|curand\|nvrtc\)\.so\.[0-9]*\) .*/\1/p' | while read -r name; do
    ln -sf libcuda.so.1 "$OUT/$name"
done
