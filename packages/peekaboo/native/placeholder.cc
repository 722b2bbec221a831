#include "placeholder.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace peekaboo {

at::Tensor placeholder(at::IntArrayRef sizes, at::IntArrayRef strides, const at::TensorOptions& options) {
  int64_t elements = 1;
  for (size_t i = 0; i < sizes.size(); i++) elements += (sizes[i] - 1) * strides[i];
  const size_t bytes = static_cast<size_t>(std::max<int64_t>(elements, 1)) * options.dtype().itemsize();
  void* zeros = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK(zeros != MAP_FAILED, "can't allocate memory: you tried to allocate ", bytes, " bytes.");
  return at::from_blob(
      zeros, sizes, strides, [bytes](void* block) { munmap(block, bytes); }, options);
}

}  // namespace peekaboo
