// Convolutions that come out right where the installed oneDNN computes some of them wrongly.
#pragma once

namespace torchjs {

// Replaces libtorch's way to what oneDNN gets wrong, for all of this process. Tries two small convolutions on the
// processor first, which takes some ten milliseconds, once. False where only without oneDNN they come out right: then
// it is off, and all convolutions take many times as long.
bool mendConvolutions();

}  // namespace torchjs
