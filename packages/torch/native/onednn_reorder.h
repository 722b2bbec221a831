// The change of a tensor's layout that oneDNN makes before and after its kernels, done here in its place.
#pragma once

namespace torchjs {

// Whether the oneDNN that libtorch uses is one that is known to lose parts of tensors, which a few trials needn't show.
bool reordersWrongly();

// From now on, float32 tensors are brought into oneDNN's layouts by code of ours. Where libtorch has a oneDNN within
// itself, nothing changes.
void reorderOurselves();

}  // namespace torchjs
