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
void* map_block(size_t bytes) {
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
  c10::DeleterFnPtr raw_deleter() const override { return give_back; }

  // Frees all idle blocks, and forgets how many there were.
  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    shrink_locked(0);
    peak_bytes_ = live_bytes_;
  }

  void set_limited(bool limited) { limited_ = limited; }

 private:
  c10::DataPtr take(size_t bytes);
  c10::DataPtr take_large(size_t bytes);
  void* new_block_locked(size_t bytes);
  void require_locked(size_t room, size_t bytes);
  size_t promised_locked();
  static void give_back(void* block);

  // Frees idle blocks until at most `bytes` are left.
  void shrink_locked(size_t bytes) {
    while (idle_bytes_ > bytes) {
      const auto any = idle_.begin();
      munmap(any->second, any->first);
      fresh_.erase(any->second);
      idle_bytes_ -= any->first;
      idle_.erase(any);
    }
  }

  std::mutex mutex_;
  std::unordered_multimap<size_t, void*> idle_;  // by size
  std::unordered_map<void*, size_t> live_;       // the large ones
  std::unordered_map<void*, size_t> fresh_;      // of both, where memory is limited: not known to be written to
  size_t idle_bytes_ = 0;
  size_t live_bytes_ = 0;
  size_t peak_bytes_ = 0;
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
    require_locked(kSpare / 2, bytes);
  }
  if (bytes >= kLarge) {
    return take_large(bytes);
  }
  void* block = c10::alloc_cpu(bytes);
  return {block, block, c10::free_cpu, c10::DeviceType::CPU};
}

c10::DataPtr ReusingAllocator::take_large(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block;
  const auto found = idle_.find(bytes);
  if (found != idle_.end()) {
    block = found->second;
    idle_.erase(found);
    idle_bytes_ -= bytes;
  } else {
    block = new_block_locked(bytes);
  }
  live_.emplace(block, bytes);
  live_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  return {block, block, give_back, c10::DeviceType::CPU};
}

void* ReusingAllocator::new_block_locked(size_t bytes) {
  const size_t wanted = live_bytes_ + bytes;
  // An eighth more would still evict blocks that every step takes up again.
  const size_t most = peak_bytes_ + peak_bytes_ / 4;
  shrink_locked(most > wanted ? most - wanted : 0);
  if (limited_) {
    require_locked(bytes > SIZE_MAX - kSpare ? SIZE_MAX : bytes + kSpare, bytes);
  }
  void* block = map_block(bytes);
  if (limited_) fresh_.emplace(block, bytes);
  return block;
}

// Bytes of the blocks that hold no memory yet. One is written to as a whole: its last page tells.
size_t ReusingAllocator::promised_locked() {
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
void ReusingAllocator::require_locked(size_t room, size_t bytes) {
  unexamined_ = 0;
  if (can_be_had(room, promised_locked())) {
    return;
  }
  shrink_locked(0);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  TORCH_CHECK(can_be_had(room, promised_locked()), "can't allocate memory: you tried to allocate ", bytes, " bytes.");
}

void ReusingAllocator::give_back(void* block) {
  ReusingAllocator& self = allocator();
  {
    const std::lock_guard<std::mutex> lock(self.mutex_);
    const auto found = self.live_.find(block);
    if (found != self.live_.end()) {
      self.idle_.emplace(found->second, block);
      self.idle_bytes_ += found->second;
      self.live_bytes_ -= found->second;
      self.live_.erase(found);
      return;
    }
  }
  c10::free_cpu(block);
}

}  // namespace

void reuse_memory(bool on) {
  const bool limited = memory_is_limited();
  allocator().set_limited(limited);
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
