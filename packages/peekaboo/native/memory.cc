#include "memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/version.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <unordered_map>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace peekaboo {
namespace {

// Smaller blocks stay with malloc, which does not give such memory back to the system at once.
constexpr size_t kLarge = size_t{1} << 20;

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

 private:
  c10::DataPtr take(size_t bytes);
  static void give_back(void* block);

  // Frees idle blocks until at most `bytes` are left.
  void shrink_locked(size_t bytes) {
    while (idle_bytes_ > bytes) {
      const auto any = idle_.begin();
      c10::free_cpu(any->second);
      idle_bytes_ -= any->first;
      idle_.erase(any);
    }
  }

  std::mutex mutex_;
  std::unordered_multimap<size_t, void*> idle_;  // by size
  std::unordered_map<void*, size_t> live_;       // the large ones
  size_t idle_bytes_ = 0;
  size_t live_bytes_ = 0;
  size_t peak_bytes_ = 0;
};

// Never destroyed: tensors may outlive every other global.
ReusingAllocator& allocator() {
  static auto& instance = *new ReusingAllocator;
  return instance;
}

c10::DataPtr ReusingAllocator::take(size_t bytes) {
  const c10::Device device(c10::DeviceType::CPU);
  if (bytes < kLarge) {
    void* block = c10::alloc_cpu(bytes);
    return {block, block, c10::free_cpu, device};
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block;
  const auto found = idle_.find(bytes);
  if (found != idle_.end()) {
    block = found->second;
    idle_.erase(found);
    idle_bytes_ -= bytes;
  } else {
    const size_t wanted = live_bytes_ + bytes;
    shrink_locked(peak_bytes_ > wanted ? peak_bytes_ - wanted : 0);
    block = c10::alloc_cpu(bytes);
  }
  live_.emplace(block, bytes);
  live_bytes_ += bytes;
  peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  return {block, block, give_back, device};
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
