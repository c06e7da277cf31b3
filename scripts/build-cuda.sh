#!/bin/sh
# Builds the program with CUDA. Needs neither a GPU nor NVIDIA's installer: the compiler and the libraries come from
# NVIDIA's own wheels on PyPI (about 1.5 GB), into a cache folder outside the clone.
#
# Usage: scripts/build-cuda.sh [cargo arguments, such as --offline]
#   CUDA_COMPUTE_CAP      of the card, without the point: 80 A100, 86 RTX 30, 89 RTX 40 and L4, 90 H100 (default)
#   KVLENS_CUDA_TOOLKIT   where the toolkit is put together (default ~/.cache/kvlens/cuda-13.0)
#   CARGO_TARGET_DIR      where the build goes (default target/cuda, apart from builds without CUDA)
#   KVLENS_CUDA_PROFILE   cargo's profile (default release)
#   KVLENS_HOST_CUDA=1    builds what runs on the host-backed driver of sessions/tests/host_cuda: without candle's kernels
#                         of quantised matrices, of experts and of flash attention, the last of which that driver has
#   KVLENS_FLASH_ATTENTION=1   builds candle's flash attention, too: causal kernels for f16 and bf16
#   KVLENS_FLASH_HEADS    head sizes to build it for (default 64,96,128,256: eight kernels, of which the smallest take four
#                         minutes of a core each); all builds candle's 53, which take about three hours of one core and serve
#                         sliding windows as well
#   PYTHON                a Python with pip (default python3)
#
# The program wants, where it runs: a driver for CUDA 13, and CUDA 13's libcublas, libcurand and libnvrtc, which lie
# in the toolkit's lib folder and in a PyTorch for CUDA 13 (nvidia/cu13/lib); name either in LD_LIBRARY_PATH.

set -eu

TOOLKIT=${KVLENS_CUDA_TOOLKIT:-$HOME/.cache/kvlens/cuda-13.0}
PYTHON=${PYTHON:-python3}
CLONE=$(cd "$(dirname "$0")/.." && pwd)

# nvcc 13.0 and what candle's kernels and cudarc link against, versions that belong together
WHEELS="nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 nvidia-cuda-culibos==13.0.85 nvidia-curand==10.4.0.35
nvidia-cublas==13.0.2.14"

# what candle-flash-attn is built with, and NVIDIA's wheel of that version
CUTLASS_COMMIT=7d49e6c7e2f8896c47f586706e67e1fb215529dc
CUTLASS_WHEEL=nvidia-cutlass==3.5.0.0

# Lays the wheels' files out as a toolkit: bin, include, lib, nvvm, and lib64 for those who look there.
fetch_toolkit() {
    aside=$TOOLKIT.partial
    rm -rf "$aside"
    mkdir -p "$aside/wheels"
    # shellcheck disable=SC2086 # one argument for each wheel
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target "$aside/wheels" $WHEELS
    mv "$aside"/wheels/nvidia/cu13/* "$aside"
    rm -rf "$aside/wheels"
    ln -s lib "$aside/lib64"
    # the linker looks for names without a version, which wheels leave out
    for library in "$aside"/lib/lib*.so.*; do
        name=${library%%.so.*}.so
        [ -e "$name" ] || ln -s "$(basename "$library")" "$name"
    done
    rm -rf "$TOOLKIT"
    mv "$aside" "$TOOLKIT"
}

# Lays CUTLASS out as the checkout that candle-flash-attn's build looks for before it asks GitHub.
fetch_cutlass() {
    checkout=$CUDAFORGE_HOME/git/checkouts/cutlass-$(echo $CUTLASS_COMMIT | cut -c1-16)
    if [ ! -d "$checkout/include" ]; then
        rm -rf "$checkout" "$checkout.wheel"
        "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target "$checkout.wheel" $CUTLASS_WHEEL
        git init --quiet "$checkout"
        echo $CUTLASS_COMMIT >"$checkout/.git/HEAD"
        mv "$checkout.wheel/cutlass_library/source/include" "$checkout"
        rm -rf "$checkout.wheel"
    fi
}

# The driver's library is there where the program runs. For the linker here, one by the names in the toolkit's header and
# those given behind its folder, whose functions all say CUDA_ERROR_NO_DEVICE: named as libcuda.so.1 it lets the program
# run without a driver, too.
make_driver_stub() {
    STUBS=$1
    shift
    mkdir -p "$STUBS"
    { cc -E -P "$TOOLKIT/include/cuda.h" | grep -oE '\bcu[A-Z][A-Za-z0-9_]* *\(' | tr -d ' ('; printf '%s\n' "$@"; } |
        sort -u | sed '/./!d; s/.*/int &(void) { return 100; }/' |
        cc -shared -Wl,-soname,libcuda.so.1 -x c - -o "$STUBS/libcuda.so"
}

if [ ! -x "$TOOLKIT/bin/nvcc" ]; then
    echo "putting the CUDA toolkit together in $TOOLKIT"
    fetch_toolkit
fi

# Puts a script in front of nvcc, in a toolkit folder of its own: candle's build looks for the rest beside its nvcc.
put_before_nvcc() {
    ROOT=$TOOLKIT/$1
    export KVLENS_NVCC="$TOOLKIT/bin/nvcc"
    mkdir -p "$ROOT/bin"
    cp "$2" "$ROOT/bin/nvcc"
    for folder in include lib lib64 nvvm; do
        ln -sfn "../$folder" "$ROOT/$folder"
    done
}

ROOT=$TOOLKIT
FEATURES=cuda
FLASH=${KVLENS_FLASH_ATTENTION:-0}
HEADS=${KVLENS_FLASH_HEADS:-64,96,128,256}
# the host-backed driver has it for all heads, and compiles none
[ "${KVLENS_HOST_CUDA:-0}" = 0 ] || HEADS=all
# the program takes it for what it was built with
unset KVLENS_FLASH_HEADS
if [ "$FLASH" = 1 ]; then
    FEATURES=flash-attn
    export CUDAFORGE_HOME="$TOOLKIT/cudaforge"
    fetch_cutlass
    [ "$HEADS" = all ] || export KVLENS_FLASH_HEADS="$HEADS"
fi
if [ "${KVLENS_HOST_CUDA:-0}" = 1 ]; then
    put_before_nvcc host-cuda "$CLONE/sessions/tests/host_cuda/nvcc.sh"
    # libraries of its own: that driver has flash attention, too, and is looked for beside the others
    rm -rf "$ROOT/lib" "$ROOT/lib64"
    mkdir "$ROOT/lib"
    ln -s "$TOOLKIT"/lib/lib* "$ROOT/lib"
    ln -s lib "$ROOT/lib64"
    make_driver_stub "$ROOT/lib/stubs" run_mha
else
    [ "$FLASH" = 0 ] || [ "$HEADS" = all ] || put_before_nvcc some-heads "$CLONE/scripts/nvcc-of-some-heads.sh"
    make_driver_stub "$TOOLKIT/lib/stubs"
fi

export CUDA_HOME="$ROOT" CUDA_PATH="$ROOT" CUDA_ROOT="$ROOT"
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CLONE/target/cuda}"
export PATH="$ROOT/bin:$PATH"
export LIBRARY_PATH="$TOOLKIT/lib:$STUBS${LIBRARY_PATH:+:$LIBRARY_PATH}"

cd "$CLONE"
PROFILE=${KVLENS_CUDA_PROFILE:-release}
cargo build --profile "$PROFILE" --features $FEATURES "$@"
# cargo's folder for the profile `dev` is named `debug`
[ "$PROFILE" != dev ] || PROFILE=debug
BUILT=$CARGO_TARGET_DIR/$PROFILE/kvlens
echo "built $BUILT for compute capability $CUDA_COMPUTE_CAP"
# a machine with a card is reached through a narrow door: check-gpu.sh takes the program packed, too
if [ "$PROFILE" = release ] && command -v xz >/dev/null; then
    xz --keep --force --threads=0 "$BUILT"
    echo "packed $BUILT.xz, $(wc -c <"$BUILT.xz") bytes"
fi
