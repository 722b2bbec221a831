#include "memory_limit.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <fstream>

namespace peekaboo {
namespace {

bool is_limited(decltype(RLIMIT_AS) resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

bool promises_only_what_it_has() {
  int mode = 0;
  return static_cast<bool>(std::ifstream("/proc/sys/vm/overcommit_memory") >> mode) && mode == 2;
}

}  // namespace

bool memory_is_limited() { return is_limited(RLIMIT_AS) || is_limited(RLIMIT_DATA) || promises_only_what_it_has(); }

// Asked rather than computed: the answer holds whichever limit there is. No page is touched.
bool can_be_had(size_t bytes) {
  void* trial = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (trial == MAP_FAILED) {
    return false;
  }
  munmap(trial, bytes);
  return true;
}

}  // namespace peekaboo
