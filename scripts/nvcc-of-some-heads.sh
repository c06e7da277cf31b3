#!/bin/sh
# nvcc for a build of candle's flash attention with some of its kernels: causal ones of the head sizes that
# KVLENS_FLASH_HEADS lists, in f16 and bf16. For each of the others stands a function that says what is missing and ends
# the program; the program asks for none of them (sessions/src/model/flash.rs).
#
# KVLENS_NVCC names the real one; KVLENS_FLASH_HEADS is a list such as 64,96,128,256.

set -eu
source= output= previous=
for argument in "$@"; do
    case $argument in
    *flash_fwd_*.cu) source=$argument ;;
    esac
    [ "$previous" != -o ] || output=$argument
    previous=$argument
done

name=$(basename "$source" .cu)
heads=$(echo "$name" | sed -n 's/.*_hdim\([0-9]*\)_.*/\1/p')
case $name in
'') wanted=1 ;;
*splitkv*) wanted=0 ;;
*_causal_*) case ,$KVLENS_FLASH_HEADS, in *,"$heads",*) wanted=1 ;; *) wanted=0 ;; esac ;;
*) wanted=0 ;;
esac
[ $wanted = 0 ] || exec "$KVLENS_NVCC" "$@"

case $name in *_bf16_*) number=bfloat16_t ;; *) number=half_t ;; esac
case $name in *_causal_*) causal=true ;; *) causal=false ;; esac
case $name in *splitkv*) function=run_mha_fwd_splitkv_paged_ ;; *) function=run_mha_fwd_ ;; esac
c++ -fPIC -x c++ -c - -o "$output" <<END
#include <cstdio>
#include <cstdlib>
namespace cutlass { struct half_t; struct bfloat16_t; }
struct Flash_fwd_params;
struct CUstream_st;
template <typename T, int HeadSize, bool IsCausal> void $function(Flash_fwd_params &, CUstream_st *);
template <> void $function<cutlass::$number, $heads, $causal>(Flash_fwd_params &, CUstream_st *) {
    fputs("$name was not built into this program: build it with KVLENS_FLASH_HEADS=all\n", stderr);
    abort();
}
END
