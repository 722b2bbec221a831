#pragma once

#include <c10/util/string_view.h>

#include <cstddef>
#include <cstdint>

namespace peekaboo {

// Tells of a cgroup that this process is in: its limit in bytes, the files with what is in use and what for, and how
// many processes in it are about to ask for as much as this one does. Beyond such a limit the kernel refuses nothing:
// it ends a process.
void limitMemory(int64_t limit, c10::string_view usage, c10::string_view stat, int64_t processes);

// Whether there is less memory than the machine has: in a cgroup with a limit, under `ulimit -v` and `-d`, and where
// the system promises no more than it has.
bool memoryIsLimited();

// Whether so many bytes in one piece could be had from the system now, when so many others are already `promised`:
// given, but not written to, and therefore not yet counted by cgroups.
bool canBeHad(size_t bytes, size_t promised);

}  // namespace peekaboo
