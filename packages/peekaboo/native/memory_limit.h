#pragma once

#include <cstddef>

namespace peekaboo {

/// Whether requests for memory can be refused while the machine still has some: under `ulimit -v` and `-d`, and where
/// the system promises no more than it has.
bool memory_is_limited();

/// Whether so many bytes in one piece could be had from the system now.
bool can_be_had(size_t bytes);

}  // namespace peekaboo
