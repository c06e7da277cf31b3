#include "execution.hpp"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace host_cuda {

unsigned char handed[1024][handed_bytes];

void fail(const std::string &why) {
    std::fprintf(stderr, "host CUDA: %s\n", why.c_str());
    std::abort();
}

namespace {

std::map<std::string, Kernel> &kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

enum class State { Ready, AtBlock, AtWarp, Done };

// A stack on which threads run one after the other; it is held by one that waits.
struct Fiber {
    ucontext_t context;
    jmp_buf place;
    bool begun = false;
    unsigned thread = 0;
};

constexpr size_t stack_bytes = 256 << 10;
constexpr unsigned warp = 32;

jmp_buf scheduler;
ucontext_t scheduler_context;
std::vector<Fiber *> idle;
Fiber *running = nullptr;
std::vector<State> states;
const Kernel *kernel = nullptr;
void **kernel_arguments = nullptr;

void set_place(unsigned thread) {
    running->thread = thread;
    threadIdx.x = thread % blockDim.x;
    threadIdx.y = thread / blockDim.x % blockDim.y;
    threadIdx.z = thread / blockDim.x / blockDim.y;
}

void run_threads() {
    for (;;) {
        kernel->call(kernel_arguments);
        states[running->thread] = State::Done;
        if (_setjmp(running->place) == 0) {
            _longjmp(scheduler, 1);
        }
    }
}

Fiber *new_fiber() {
    auto *fiber = new Fiber;
    void *stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) {
        fail("no memory for the threads of a block");
    }
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = stack;
    fiber->context.uc_stack.ss_size = stack_bytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, run_threads, 0);
    return fiber;
}

// Runs a thread until it is done or waits.
void resume(Fiber *fiber, unsigned thread) {
    running = fiber;
    set_place(thread);
    if (_setjmp(scheduler) == 0) {
        if (fiber->begun) {
            _longjmp(fiber->place, 1);
        }
        fiber->begun = true;
        setcontext(&fiber->context);
    }
}

void wait_as(State state) {
    Fiber *self = running;
    states[self->thread] = state;
    if (_setjmp(self->place) == 0) {
        _longjmp(scheduler, 1);
    }
}

// Runs the ready threads of a warp, once each.
void run_warp(std::vector<Fiber *> &fibers, unsigned first, unsigned end) {
    for (unsigned thread = first; thread < end; ++thread) {
        if (states[thread] != State::Ready) {
            continue;
        }
        if (fibers[thread] == nullptr) {
            if (idle.empty()) {
                idle.push_back(new_fiber());
            }
            fibers[thread] = idle.back();
            idle.pop_back();
        }
        resume(fibers[thread], thread);
        if (states[thread] == State::Done) {
            idle.push_back(fibers[thread]);
            fibers[thread] = nullptr;
        }
    }
}

// Lets threads go on that all wait alike, but for those that are done.
bool release(unsigned first, unsigned end, State waiting) {
    bool any = false;
    for (unsigned thread = first; thread < end; ++thread) {
        if (states[thread] != waiting && states[thread] != State::Done) {
            return false;
        }
        any |= states[thread] == waiting;
    }
    for (unsigned thread = first; any && thread < end; ++thread) {
        if (states[thread] == waiting) {
            states[thread] = State::Ready;
        }
    }
    return any;
}

void run_block() {
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
    states.assign(threads, State::Ready);
    std::vector<Fiber *> fibers(threads, nullptr);
    do {
        for (unsigned first = 0; first < threads; first += warp) {
            const unsigned end = first + warp < threads ? first + warp : threads;
            do {
                run_warp(fibers, first, end);
            } while (release(first, end, State::AtWarp));
        }
    } while (release(0, threads, State::AtBlock));
    for (State state : states) {
        if (state != State::Done) {
            fail(std::string(kernel->name) + ": threads wait for others that do not come");
        }
    }
}

} // namespace

void wait_for_block() { wait_as(State::AtBlock); }
void wait_for_warp() { wait_as(State::AtWarp); }
unsigned place() { return running->thread; }

void add_kernels(const Kernel *first, size_t count) {
    for (size_t index = 0; index < count; ++index) {
        kernels()[first[index].name] = first[index];
    }
}

const Kernel *find_kernel(const std::string &name) {
    auto found = kernels().find(name);
    return found == kernels().end() ? nullptr : &found->second;
}

void launch(const Kernel &launched, dim3 grid, dim3 block, void **arguments) {
    kernel = &launched;
    kernel_arguments = arguments;
    gridDim = grid;
    blockDim = block;
    for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx.x = x;
                blockIdx.y = y;
                blockIdx.z = z;
                run_block();
            }
        }
    }
}

} // namespace host_cuda
