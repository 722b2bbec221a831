#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace peekaboo {

// Memory that was mapped, is in use by nobody, and waits to be used again: ranges of whole pages, neighbours joined
// into one wherever they come from.
class IdleMemory {
 public:
  // So many bytes, cut from the smallest range that has them; of several, from that which came last, since caches may
  // hold it still. Null if there is none.
  void* take(size_t bytes);

  void add(void* block, size_t bytes);

  // Gives ranges back to the system, the smallest first, until at most so many bytes are left.
  void shrink(size_t bytes);

  size_t bytes() const { return bytes_; }

 private:
  struct Range {
    size_t bytes;
    uint64_t since;
  };
  using Ranges = std::map<char*, Range>;
  // The best of those with so many bytes.
  Ranges::iterator smallest(size_t bytes);

  Ranges ranges_;  // by address
  size_t bytes_ = 0;
  uint64_t now_ = 0;
};

}  // namespace peekaboo
