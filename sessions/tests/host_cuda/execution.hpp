// How a kernel of CUDA runs on the host: thread by thread, in the order of their indices, with switches where the threads
// of a block or of a warp wait for one another.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <vector_types.h>

// What a kernel sees of its place in the launch. One launch runs at a time.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace host_cuda {

// Waits for the other threads of the block, or of the warp of 32.
void wait_for_block();
void wait_for_warp();

// Room for what a thread hands to the others of its warp; the thread's place in the block.
constexpr size_t handed_bytes = 16;
extern unsigned char handed[1024][handed_bytes];
unsigned place();

// A kernel by its name in the PTX, called with pointers to its arguments.
struct Kernel {
    const char *name;
    void (*call)(void **arguments);
};

template <auto F> struct Call;
template <class... A, void (*F)(A...)> struct Call<F> {
    static void with(void **arguments) { unpack(arguments, std::index_sequence_for<A...>()); }
    template <size_t... I> static void unpack(void **arguments, std::index_sequence<I...>) {
        F(*static_cast<std::remove_cv_t<A> *>(arguments[I])...);
    }
};

// Kernels of a source file, known from the start.
void add_kernels(const Kernel *first, size_t count);
const Kernel *find_kernel(const std::string &name);

void launch(const Kernel &kernel, dim3 grid, dim3 block, void **arguments);

// Of what is a launch, too, and comes by another way than the driver's.
void count_launch(const char *name);

[[noreturn]] void fail(const std::string &why);

} // namespace host_cuda
