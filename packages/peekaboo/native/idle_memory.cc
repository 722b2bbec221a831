#include "idle_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

namespace peekaboo {

IdleMemory::Ranges::iterator IdleMemory::smallest(size_t bytes) {
  auto best = ranges_.end();
  for (auto one = ranges_.begin(); one != ranges_.end(); ++one) {
    const Range& range = one->second;
    if (range.bytes < bytes) continue;
    const bool isBetter = best == ranges_.end() || range.bytes < best->second.bytes ||
                          (range.bytes == best->second.bytes && range.since > best->second.since);
    if (isBetter) best = one;
  }
  return best;
}

void* IdleMemory::take(size_t bytes) {
  const auto found = smallest(bytes);
  if (found == ranges_.end()) return nullptr;
  const auto [block, range] = *found;
  ranges_.erase(found);
  bytes_ -= bytes;
  if (range.bytes > bytes) ranges_.emplace(block + bytes, Range{range.bytes - bytes, range.since});
  return block;
}

void IdleMemory::add(void* block, size_t bytes) {
  auto* begin = static_cast<char*>(block);
  size_t joined = bytes;
  const auto next = ranges_.lower_bound(begin);
  if (next != ranges_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second.bytes == begin) {
      begin = before->first;
      joined += before->second.bytes;
      ranges_.erase(before);
    }
  }
  if (next != ranges_.end() && next->first == static_cast<char*>(block) + bytes) {
    joined += next->second.bytes;
    ranges_.erase(next);
  }
  ranges_.emplace(begin, Range{joined, now_++});
  bytes_ += bytes;
}

void IdleMemory::shrink(size_t bytes) {
  while (bytes_ > bytes) {
    const auto found = smallest(1);
    auto& [block, range] = *found;
    const size_t cut = std::min(range.bytes, bytes_ - bytes);
    munmap(block + (range.bytes - cut), cut);
    bytes_ -= cut;
    range.bytes -= cut;
    if (range.bytes == 0) ranges_.erase(found);
  }
}

}  // namespace peekaboo
