#include "memory.h"

#include <ATen/Parallel.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <torch/version.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "idle_memory.h"
#include "memory_limit.h"

namespace peekaboo {
namespace {

// Smaller blocks stay with malloc, which does not give such memory back to the system at once.
constexpr size_t kLarge = size_t{1} << 20;

// Of x86-64, and of ARM with pages of 4 KiB.
constexpr size_t kHugePage = size_t{2} << 20;

// Where memory is limited, a new large block must leave so much, and whatever else is allocated the lower half of it:
// for the code that oneDNN generates, for V8's heap and for threads' stacks, which end the process when they get
// nothing.
constexpr size_t kSpare = size_t{64} << 20;
// So many allocations go by unexamined, which costs two system calls.
constexpr unsigned kUnexamined = 16;

size_t pageSize() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// A multiple of a power of two; what lies beyond the largest stays as it is, to be refused.
size_t roundedUp(size_t bytes, size_t unit) {
  return bytes > SIZE_MAX - unit ? bytes : (bytes + unit - 1) / unit * unit;
}

// Memory from the system. malloc would take it from a heap that also holds small and lasting blocks, and whose holes
// the system doesn't get back.
char* mapMemory(size_t bytes) {
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TORCH_CHECK(block != MAP_FAILED, "can't allocate memory: you tried to allocate ", bytes, " bytes. Error code ", errno,
              " (", std::strerror(errno), ")");
  return static_cast<char*>(block);
}

// Addresses for memory to come, from a range that nobody else maps into: what is taken one after the other lies side by
// side, so that it can be used as one when it is idle.
class Addresses {
 public:
  // Those of so many bytes, a multiple of a huge page's and aligned to it, below the ones before; no memory yet. Null
  // where the system has no room.
  char* take(size_t bytes) {
    if (bytes > left_ && !reserve(bytes)) return nullptr;
    end_ -= bytes;
    left_ -= bytes;
    return end_;
  }

  // Takes back what was taken last.
  void putBack(size_t bytes) {
    end_ += bytes;
    left_ += bytes;
  }

 private:
  static constexpr size_t kReserved = size_t{64} << 30;

  bool reserve(size_t bytes) {
    rlimit limit{};
    // Where addresses are limited, others need them.
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY || bytes > SIZE_MAX - kHugePage) {
      return false;
    }
    const size_t wanted = std::max(bytes, kReserved);
    void* range = mmap(nullptr, wanted + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (range == MAP_FAILED) return false;
    char* const top = static_cast<char*>(range) + wanted + kHugePage;
    end_ = top - reinterpret_cast<uintptr_t>(top) % kHugePage;
    left_ = wanted;
    return true;
  }

  char* end_ = nullptr;
  size_t left_ = 0;
};

// The same in whole huge pages where the system has them, `bytes` being a multiple of theirs: fewer addresses to
// translate, and fewer faults.
char* mapHugePages(size_t bytes, Addresses& addresses) {
  char* block = addresses.take(bytes);
  if (block != nullptr && mprotect(block, bytes, PROT_READ | PROT_WRITE) != 0) {
    addresses.putBack(bytes);
    block = nullptr;
  }
  if (block == nullptr) {
    char* const around = mapMemory(bytes > SIZE_MAX - kHugePage ? SIZE_MAX : bytes + kHugePage);
    const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(around) % kHugePage) % kHugePage;
    block = around + before;
    if (before > 0) munmap(around, before);
    munmap(block + bytes, kHugePage - before);
  }
#ifdef MADV_HUGEPAGE
  madvise(block, bytes, MADV_HUGEPAGE);  // without, all is as it is
#endif
  return block;
}

class ReusingAllocator final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(size_t bytes) override { return take(bytes); }
  void copy_data(void* target, const void* source, size_t bytes) const override { std::memcpy(target, source, bytes); }
#else
  c10::DataPtr allocate(size_t bytes) const override { return const_cast<ReusingAllocator*>(this)->take(bytes); }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return giveBack; }

  // Frees all idle memory, and forgets how much there was.
  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.shrink(0);
    peakBytes_ = liveBytes_;
  }

  // What is idle is given up: where memory is limited, all of it has to have been written to.
  void setLimited(bool limited) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (limited && !limited_) idle_.shrink(0);
    limited_ = limited;
  }

 private:
  c10::DataPtr take(size_t bytes);
  c10::DataPtr takeLarge(size_t bytes);
  void* newBlockLocked(size_t bytes);
  void requireLocked(size_t room, size_t bytes);
  size_t promisedLocked();
  bool takeBackLocked(void* block);
  static void giveBack(void* block);

  std::mutex mutex_;
  IdleMemory idle_;
  std::unordered_map<void*, size_t> live_;   // the large ones
  std::unordered_map<void*, size_t> fresh_;  // of them, where memory is limited: not known to be written to
  Addresses addresses_;
  size_t liveBytes_ = 0;
  size_t peakBytes_ = 0;
  std::atomic<bool> limited_{false};
  std::atomic<unsigned> unexamined_{0};
};

// Never destroyed: tensors may outlive every other global.
ReusingAllocator& allocator() {
  static auto& instance = *new ReusingAllocator;
  return instance;
}

c10::DataPtr ReusingAllocator::take(size_t bytes) {
  if (limited_ && unexamined_.fetch_add(1) >= kUnexamined) {
    const std::lock_guard<std::mutex> lock(mutex_);
    requireLocked(kSpare / 2, bytes);
  }
  if (bytes >= kLarge) return takeLarge(bytes);
  void* block = c10::alloc_cpu(bytes);
  return {block, block, c10::free_cpu, c10::DeviceType::CPU};
}

c10::DataPtr ReusingAllocator::takeLarge(size_t bytes) {
  const size_t pages = roundedUp(bytes, pageSize());
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block = idle_.take(pages);
  if (block == nullptr) block = newBlockLocked(pages);
  live_.emplace(block, pages);
  liveBytes_ += pages;
  peakBytes_ = std::max(peakBytes_, liveBytes_);
  return {block, block, giveBack, c10::DeviceType::CPU};
}

void* ReusingAllocator::newBlockLocked(size_t bytes) {
  const size_t mapped = limited_ ? bytes : roundedUp(bytes, kHugePage);
  const size_t wanted = liveBytes_ + mapped;
  // An eighth more would still evict memory that every step takes up again.
  const size_t most = peakBytes_ + peakBytes_ / 4;
  idle_.shrink(most > wanted ? most - wanted : 0);
  if (limited_) {
    requireLocked(bytes > SIZE_MAX - kSpare ? SIZE_MAX : bytes + kSpare, bytes);
    void* block = mapMemory(bytes);
    fresh_.emplace(block, bytes);
    return block;
  }
  char* const block = mapHugePages(mapped, addresses_);
  if (mapped > bytes) idle_.add(block + bytes, mapped - bytes);
  return block;
}

// Whether a block has been written to: as a whole, if at all, so that its last page tells.
bool isWritten(void* block, size_t bytes) {
  unsigned char resident = 0;
  return mincore(static_cast<char*>(block) + bytes - pageSize(), pageSize(), &resident) != 0 || (resident & 1) != 0;
}

// Bytes of the blocks that hold no memory yet.
size_t ReusingAllocator::promisedLocked() {
  size_t promised = 0;
  for (auto one = fresh_.begin(); one != fresh_.end();) {
    const auto& [block, bytes] = *one;
    if (isWritten(block, bytes)) {
      one = fresh_.erase(one);
    } else {
      promised += bytes;
      ++one;
    }
  }
  return promised;
}

// Throws as c10's own allocator does, for a tensor of `bytes`, when `room` can't be had even without the idle blocks.
void ReusingAllocator::requireLocked(size_t room, size_t bytes) {
  unexamined_ = 0;
  if (canBeHad(room, promisedLocked())) return;
  idle_.shrink(0);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  TORCH_CHECK(canBeHad(room, promisedLocked()), "can't allocate memory: you tried to allocate ", bytes, " bytes.");
}

bool ReusingAllocator::takeBackLocked(void* block) {
  const auto found = live_.find(block);
  if (found == live_.end()) return false;
  const size_t bytes = found->second;
  live_.erase(found);
  liveBytes_ -= bytes;
  // Idle memory has been written to: it may be cut, so that no page would tell.
  if (fresh_.erase(block) > 0 && !isWritten(block, bytes)) {
    munmap(block, bytes);
  } else {
    idle_.add(block, bytes);
  }
  return true;
}

void ReusingAllocator::giveBack(void* block) {
  ReusingAllocator& self = allocator();
  {
    const std::lock_guard<std::mutex> lock(self.mutex_);
    if (self.takeBackLocked(block)) return;
  }
  c10::free_cpu(block);
}

}  // namespace

void reuseMemory(bool on) {
  const bool limited = memoryIsLimited();
  allocator().setLimited(limited);
  if (limited) {
#ifdef __GLIBC__
    // Else malloc raises it up to 32 MiB, and freed blocks would stay as holes of its heap, of no use to larger ones.
    mallopt(M_MMAP_THRESHOLD, kLarge);
#endif
    // OpenMP's threads begin now, while there is room for their stacks.
    at::parallel_for(0, at::get_num_threads(), 1, [](int64_t, int64_t) {});
  }
  c10::SetCPUAllocator(on ? &allocator() : c10::GetDefaultCPUAllocator(), /*priority=*/1);
  if (!on) {
    allocator().clear();
#ifdef __GLIBC__
    // malloc keeps freed blocks of up to 32 MB; those below others in use for good.
    malloc_trim(0);
#endif
  }
}

}  // namespace peekaboo
