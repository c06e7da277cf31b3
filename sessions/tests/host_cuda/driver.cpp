// A driver of CUDA whose device is this computer: memory is mapped between pages that nobody may touch and begins as NaN,
// copies are copies, and a kernel is found only where the PTX holds it. Kernels run on the host, compiled from candle's
// own sources. What was asked for is counted.
//
// HOST_CUDA_COUNTS      a file that the counts are written to, as JSON, when the program ends
// HOST_CUDA_CAPABILITY  of the device, without the point (default 90)
// HOST_CUDA_MEMORY      bytes of the device (default 8 GiB)

#include "execution.hpp"

#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace {

std::mutex one_at_a_time;
using Held = std::lock_guard<std::mutex>;

size_t from_environment(const char *name, size_t otherwise) {
    const char *text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

unsigned capability() {
    static const unsigned value = from_environment("HOST_CUDA_CAPABILITY", 90);
    return value;
}

size_t memory_bytes() {
    static const size_t value = from_environment("HOST_CUDA_MEMORY", size_t(8) << 30);
    return value;
}

// ---- counts

struct Copies {
    size_t count = 0, bytes = 0, largest = 0;
    void add(size_t size) {
        count += 1;
        bytes += size;
        largest = size > largest ? size : largest;
    }
};

struct Counts {
    std::map<std::string, size_t> launches;
    Copies to_device, to_host, on_device, set;
    size_t synchronisations = 0, allocations = 0, events = 0, held_bytes = 0, most_held_bytes = 0;
    ~Counts();
};

Counts counts;

void write(std::FILE *file, const char *name, const Copies &copies) {
    std::fprintf(file, "\"%s\": {\"count\": %zu, \"bytes\": %zu, \"largest_bytes\": %zu}, ", name, copies.count,
                 copies.bytes, copies.largest);
}

Counts::~Counts() {
    const char *path = std::getenv("HOST_CUDA_COUNTS");
    std::FILE *file = path == nullptr ? nullptr : std::fopen(path, "w");
    if (file == nullptr) {
        return;
    }
    size_t all = 0;
    std::fprintf(file, "{\"launches_by_kernel\": {");
    for (auto &[name, count] : launches) {
        std::fprintf(file, "%s\"%s\": %zu", all == 0 ? "" : ", ", name.c_str(), count);
        all += count;
    }
    std::fprintf(file, "}, \"launches\": %zu, ", all);
    write(file, "to_device", to_device);
    write(file, "to_host", to_host);
    write(file, "on_device", on_device);
    write(file, "set", set);
    std::fprintf(file,
                 "\"synchronisations\": %zu, \"allocations\": %zu, \"events\": %zu, \"most_held_bytes\": %zu, "
                 "\"left_bytes\": %zu}\n",
                 synchronisations, allocations, events, most_held_bytes, held_bytes);
    std::fclose(file);
}

// ---- memory

constexpr unsigned char unwritten = 0xff; // in every format of numbers a NaN
constexpr size_t alignment = 256;

struct Memory {
    unsigned char *mapped;
    size_t mapped_bytes, bytes;
};

std::map<CUdeviceptr, Memory> &memories() {
    static std::map<CUdeviceptr, Memory> all;
    return all;
}

size_t round_up(size_t size, size_t to) { return (size + to - 1) / to * to; }

CUresult allocate(CUdeviceptr *pointer, size_t bytes) {
    Held held(one_at_a_time);
    if (bytes == 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (counts.held_bytes + bytes > memory_bytes()) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    const size_t page = sysconf(_SC_PAGESIZE);
    const size_t aligned = round_up(bytes, alignment), inner = round_up(aligned, page);
    void *mapped = mmap(nullptr, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    auto *first = static_cast<unsigned char *>(mapped) + page;
    mprotect(first, inner, PROT_READ | PROT_WRITE);
    std::memset(first, unwritten, inner);
    // against the page behind it, so that nothing can be read or written past its end
    unsigned char *start = first + inner - aligned;
    *pointer = reinterpret_cast<CUdeviceptr>(start);
    memories()[*pointer] = {static_cast<unsigned char *>(mapped), inner + 2 * page, bytes};
    counts.allocations += 1;
    counts.held_bytes += bytes;
    counts.most_held_bytes = std::max(counts.most_held_bytes, counts.held_bytes);
    return CUDA_SUCCESS;
}

CUresult release(CUdeviceptr pointer) {
    Held held(one_at_a_time);
    auto found = memories().find(pointer);
    if (found == memories().end()) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    const Memory memory = found->second;
    auto *start = reinterpret_cast<unsigned char *>(pointer);
    for (size_t at = memory.bytes; at < round_up(memory.bytes, alignment); ++at) {
        if (start[at] != unwritten) {
            host_cuda::fail("something was written past the end of " + std::to_string(memory.bytes) + " bytes");
        }
    }
    munmap(memory.mapped, memory.mapped_bytes);
    memories().erase(found);
    counts.held_bytes -= memory.bytes;
    return CUDA_SUCCESS;
}

template <class To, class From> CUresult copy(Copies &counted, To to, From from, size_t bytes) {
    Held held(one_at_a_time);
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
    counted.add(bytes);
    return CUDA_SUCCESS;
}

CUresult synchronise() {
    Held held(one_at_a_time);
    counts.synchronisations += 1;
    return CUDA_SUCCESS;
}

// ---- modules

struct Module {
    std::string ptx;
};

// The number behind a word of the PTX, such as that of `.target sm_90`.
unsigned number_behind(const std::string &text, const std::string &word) {
    const size_t at = text.find(word);
    return at == std::string::npos ? 0 : std::strtoul(text.c_str() + at + word.size(), nullptr, 10);
}

struct Function {
    std::string name;
    const host_cuda::Kernel *kernel;
};

template <class T> T handle(size_t number) { return reinterpret_cast<T>(number); }

} // namespace

extern "C" {

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int *version) { *version = CUDA_VERSION; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = 0;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetName(char *name, int room, CUdevice) {
    std::snprintf(name, room, "this computer as a CUDA device");
    return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice) { *bytes = memory_bytes(); return CUDA_SUCCESS; }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = 1; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = capability() / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = capability() % 10; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 1; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = 48 << 10; break;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) { *context = handle<CUcontext>(1); return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }

static thread_local CUcontext current = nullptr;
CUresult cuCtxSetCurrent(CUcontext context) { current = context; return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { *context = current; return CUDA_SUCCESS; }
CUresult cuCtxSynchronize() { return synchronise(); }
CUresult cuMemGetInfo(size_t *free, size_t *total) {
    Held held(one_at_a_time);
    *total = memory_bytes();
    *free = *total - counts.held_bytes;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult, const char **text) { *text = "an error of the host-backed driver"; return CUDA_SUCCESS; }
CUresult cuGetErrorString(CUresult error, const char **text) {
    switch (error) {
    case CUDA_ERROR_INVALID_VALUE: *text = "invalid argument"; break;
    case CUDA_ERROR_OUT_OF_MEMORY: *text = "out of memory"; break;
    case CUDA_ERROR_INVALID_DEVICE: *text = "invalid device ordinal"; break;
    case CUDA_ERROR_INVALID_PTX: *text = "the PTX is for a higher compute capability"; break;
    case CUDA_ERROR_NOT_FOUND: *text = "named symbol not found"; break;
    case CUDA_ERROR_NOT_SUPPORTED: *text = "the host-backed driver does not do this"; break;
    default: *text = "another error";
    }
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *pointer, size_t bytes) { return allocate(pointer, bytes); }
CUresult cuMemAllocAsync(CUdeviceptr *pointer, size_t bytes, CUstream) { return allocate(pointer, bytes); }
CUresult cuMemFree(CUdeviceptr pointer) { return release(pointer); }
CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream) { return release(pointer); }

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) { return copy(counts.to_device, to, from, bytes); }
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream) {
    return copy(counts.to_device, to, from, bytes);
}
// memory of the host that is not pinned is there when the call returns, so each of these waits for the device
CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) { return copy(counts.to_host, to, from, bytes); }
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream) {
    return copy(counts.to_host, to, from, bytes);
}
CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return copy(counts.on_device, to, from, bytes); }
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream) {
    return copy(counts.on_device, to, from, bytes);
}
CUresult cuMemsetD8(CUdeviceptr at, unsigned char value, size_t bytes) {
    Held held(one_at_a_time);
    std::memset(reinterpret_cast<void *>(at), value, bytes);
    counts.set.add(bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t bytes, CUstream) {
    return cuMemsetD8(at, value, bytes);
}

CUresult cuStreamCreate(CUstream *stream, unsigned) {
    static size_t streams = 0;
    Held held(one_at_a_time);
    *stream = handle<CUstream>(++streams << 8);
    return CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream) { return CUDA_SUCCESS; }
CUresult cuStreamSynchronize(CUstream) { return synchronise(); }
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned) { counts.events += 1; return CUDA_SUCCESS; }
CUresult cuStreamIsCapturing(CUstream, CUstreamCaptureStatus *status) {
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}
CUresult cuEventCreate(CUevent *event, unsigned) {
    Held held(one_at_a_time);
    *event = handle<CUevent>(++counts.events);
    return CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent) { return CUDA_SUCCESS; }
CUresult cuEventRecord(CUevent, CUstream) { counts.events += 1; return CUDA_SUCCESS; }

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    const std::string ptx = static_cast<const char *>(image);
    if (number_behind(ptx, ".target sm_") > capability()) {
        return CUDA_ERROR_INVALID_PTX;
    }
    *module = reinterpret_cast<CUmodule>(new Module{ptx});
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
    delete reinterpret_cast<Module *>(module);
    return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    Held held(one_at_a_time);
    static std::map<std::string, Function> functions;
    const std::string entry = std::string(".entry ") + name + "(";
    if (reinterpret_cast<Module *>(module)->ptx.find(entry) == std::string::npos) {
        std::fprintf(stderr, "host CUDA: the PTX has no kernel %s\n", name);
        return CUDA_ERROR_NOT_FOUND;
    }
    auto &found = functions.try_emplace(name, Function{name, host_cuda::find_kernel(name)}).first->second;
    *function = reinterpret_cast<CUfunction>(&found);
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned, CUstream, void **arguments, void **) {
    Held held(one_at_a_time);
    auto &launched = *reinterpret_cast<Function *>(function);
    if (launched.kernel == nullptr) {
        std::fprintf(stderr, "host CUDA: kernel %s does not run on the host\n", launched.name.c_str());
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    const size_t threads = size_t(block_x) * block_y * block_z;
    if (size_t(grid_x) * grid_y * grid_z == 0 || threads == 0 || threads > 1024 || grid_y > 65535 || grid_z > 65535) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    counts.launches[launched.name] += 1;
    host_cuda::launch(*launched.kernel, dim3{grid_x, grid_y, grid_z}, dim3{block_x, block_y, block_z}, arguments);
    return CUDA_SUCCESS;
}

} // extern "C"

namespace host_cuda {
void count_launch(const char *name) {
    Held held(one_at_a_time);
    counts.launches[name] += 1;
}
} // namespace host_cuda
