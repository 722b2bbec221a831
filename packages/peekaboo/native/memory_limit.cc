#include "memory_limit.h"

#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

namespace peekaboo {
namespace {

bool isLimited(decltype(RLIMIT_AS) resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

bool promisesOnlyWhatItHas() {
  int mode = 0;
  return static_cast<bool>(std::ifstream("/proc/sys/vm/overcommit_memory") >> mode) && mode == 2;
}

struct Cgroup {
  size_t limit;
  std::string usage;
  std::string stat;
  size_t processes;
};

struct Cgroups {
  std::mutex mutex;
  std::vector<Cgroup> all;
};

// Never destroyed: tensors may outlive every other global.
Cgroups& cgroups() {
  static auto& instance = *new Cgroups;
  return instance;
}

// What of the memory in use the kernel takes back before it ends a process: copies of files, but for those that
// programs run from and those that still have to be written.
size_t reclaimable(const std::string& stat) {
  size_t files = 0;
  size_t kept = 0;
  std::ifstream file(stat);
  std::string name;
  // Version 1 tells of the cgroup alone, too; what counts has "total_" before it there.
  bool totals = false;
  for (size_t value = 0; file >> name >> value;) {
    if (name.compare(0, 6, "total_") == 0) {
      if (!totals) files = kept = 0;
      totals = true;
      name.erase(0, 6);
    } else if (totals) {
      continue;
    }
    if (name == "inactive_file" || name == "active_file") files += value;
    for (const char* held : {"mapped_file", "file_mapped", "dirty", "file_dirty", "writeback", "file_writeback"}) {
      if (name == held) kept += value;
    }
  }
  return files - std::min(files, kept);
}

// A sixteenth of a limit is left to what is not a tensor, above all to what the libraries below take for themselves.
bool has(const Cgroup& cgroup, size_t bytes, size_t promised) {
  const size_t most = cgroup.limit - cgroup.limit / 16;
  if (bytes > most / cgroup.processes || promised > most) return false;
  const size_t wanted = bytes * cgroup.processes + promised;
  size_t used = 0;
  // A cgroup that can't be asked any more is passed over: the run was started without harm.
  if (!(std::ifstream(cgroup.usage) >> used) || used + wanted <= most) return true;
  return used - std::min(used, reclaimable(cgroup.stat)) + wanted <= most;
}

bool cgroupsHave(size_t bytes, size_t promised) {
  const std::lock_guard<std::mutex> lock(cgroups().mutex);
  const auto& all = cgroups().all;
  return std::all_of(all.begin(), all.end(), [&](const Cgroup& cgroup) { return has(cgroup, bytes, promised); });
}

bool inLimitedCgroup() {
  const std::lock_guard<std::mutex> lock(cgroups().mutex);
  return !cgroups().all.empty();
}

}  // namespace

void limitMemory(int64_t limit, c10::string_view usage, c10::string_view stat, int64_t processes) {
  TORCH_CHECK(limit > 0, "limit_memory: limit must be positive, received ", limit);
  TORCH_CHECK(processes > 0, "limit_memory: processes must be positive, received ", processes);
  const Cgroup cgroup{static_cast<size_t>(limit), std::string(usage.data(), usage.size()),
                      std::string(stat.data(), stat.size()), static_cast<size_t>(processes)};
  const std::lock_guard<std::mutex> lock(cgroups().mutex);
  auto& all = cgroups().all;
  all.erase(std::remove_if(all.begin(), all.end(), [&](const Cgroup& other) { return other.usage == cgroup.usage; }),
            all.end());
  all.push_back(cgroup);
}

bool memoryIsLimited() {
  return inLimitedCgroup() || isLimited(RLIMIT_AS) || isLimited(RLIMIT_DATA) || promisesOnlyWhatItHas();
}

// Asked rather than computed: the answer holds whichever limit there is. No page is touched.
bool canBeHad(size_t bytes, size_t promised) {
  if (!cgroupsHave(bytes, promised)) return false;
  void* trial = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (trial == MAP_FAILED) return false;
  munmap(trial, bytes);
  return true;
}

}  // namespace peekaboo
