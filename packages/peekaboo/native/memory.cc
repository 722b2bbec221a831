#include "memory.h"

#include <ATen/Parallel.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>
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

#include "memory_limit.h"

namespace peekaboo {
namespace {

// Smaller blocks stay with malloc, which does not give such memory back to the system at once.
constexpr size_t kLarge = size_t{1} << 20;

// Where memory is limited, a new large block must leave so much, and whatever else is allocated the lower half of it:
// for the code that oneDNN generates, for V8's heap and for threads' stacks, which end the process when they get
// nothing.
constexpr size_t kSpare = size_t{64} << 20;
// So many allocations go by unexamined, which costs two system calls.
constexpr unsigned kUnexamined = 16;

// A block of its own from the system. malloc would take it from a heap that also holds small and lasting blocks, and
// whose holes the system doesn't get back.
void* mapBlock(size_t bytes) {
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TORCH_CHECK(block != MAP_FAILED, "can't allocate memory: you tried to allocate ", bytes, " bytes. Error code ", errno,
              " (", std::strerror(errno), ")");
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

  // Frees all idle blocks, and forgets how many there were.
  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    shrinkLocked(0);
    peakBytes_ = liveBytes_;
  }

  void setLimited(bool limited) { limited_ = limited; }

 private:
  c10::DataPtr take(size_t bytes);
  c10::DataPtr takeLarge(size_t bytes);
  void* newBlockLocked(size_t bytes);
  void requireLocked(size_t room, size_t bytes);
  size_t promisedLocked();
  static void giveBack(void* block);

  // Frees idle blocks until at most `bytes` are left.
  void shrinkLocked(size_t bytes) {
    while (idleBytes_ > bytes) {
      const auto any = idle_.begin();
      munmap(any->second, any->first);
      fresh_.erase(any->second);
      idleBytes_ -= any->first;
      idle_.erase(any);
    }
  }

  std::mutex mutex_;
  std::unordered_multimap<size_t, void*> idle_;  // by size
  std::unordered_map<void*, size_t> live_;       // the large ones
  std::unordered_map<void*, size_t> fresh_;      // of both, where memory is limited: not known to be written to
  size_t idleBytes_ = 0;
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
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block;
  const auto found = idle_.find(bytes);
  if (found != idle_.end()) {
    block = found->second;
    idle_.erase(found);
    idleBytes_ -= bytes;
  } else {
    block = newBlockLocked(bytes);
  }
  live_.emplace(block, bytes);
  liveBytes_ += bytes;
  peakBytes_ = std::max(peakBytes_, liveBytes_);
  return {block, block, giveBack, c10::DeviceType::CPU};
}

void* ReusingAllocator::newBlockLocked(size_t bytes) {
  const size_t wanted = liveBytes_ + bytes;
  // An eighth more would still evict blocks that every step takes up again.
  const size_t most = peakBytes_ + peakBytes_ / 4;
  shrinkLocked(most > wanted ? most - wanted : 0);
  if (limited_) requireLocked(bytes > SIZE_MAX - kSpare ? SIZE_MAX : bytes + kSpare, bytes);
  void* block = mapBlock(bytes);
  if (limited_) fresh_.emplace(block, bytes);
  return block;
}

// Bytes of the blocks that hold no memory yet. One is written to as a whole: its last page tells.
size_t ReusingAllocator::promisedLocked() {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t promised = 0;
  for (auto one = fresh_.begin(); one != fresh_.end();) {
    const auto& [block, bytes] = *one;
    unsigned char resident = 0;
    if (mincore(static_cast<char*>(block) + (bytes - 1) / page * page, page, &resident) == 0 && (resident & 1) == 0) {
      promised += bytes;
      ++one;
    } else {
      one = fresh_.erase(one);
    }
  }
  return promised;
}

// Throws as c10's own allocator does, for a tensor of `bytes`, when `room` can't be had even without the idle blocks.
void ReusingAllocator::requireLocked(size_t room, size_t bytes) {
  unexamined_ = 0;
  if (canBeHad(room, promisedLocked())) return;
  shrinkLocked(0);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  TORCH_CHECK(canBeHad(room, promisedLocked()), "can't allocate memory: you tried to allocate ", bytes, " bytes.");
}

void ReusingAllocator::giveBack(void* block) {
  ReusingAllocator& self = allocator();
  {
    const std::lock_guard<std::mutex> lock(self.mutex_);
    const auto found = self.live_.find(block);
    if (found != self.live_.end()) {
      self.idle_.emplace(found->second, block);
      self.idleBytes_ += found->second;
      self.liveBytes_ -= found->second;
      self.live_.erase(found);
      return;
    }
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
