#pragma once

namespace peekaboo {

// Whether large tensors on the CPU take over the memory of freed ones, instead of asking the operating system for pages
// that it has to clear first; unless memory is limited, for huge pages. What is held idle raises the memory in use
// above its largest value so far by a quarter at most. Turning it off frees what is idle and forgets that value.
//
// Where memory is limited (see memory_limit.h), tensors don't get the last of it: an allocation that would leave less
// than the libraries below need to go on is refused, by the exception with which c10 tells that memory is exhausted.
void reuseMemory(bool on);

}  // namespace peekaboo
