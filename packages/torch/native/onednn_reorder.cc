// oneDNN 3.7.2, Debian 13's, leaves parts of reordered weights unwritten: of small ones whose channels don't fill the
// blocks of the new layout, and of some that do. What follows is off by as much as its own size, or ends the process.
// The kernels that read the weights are right. libtorch asks the shared library for a reorder as for every other
// primitive, by dnnl_primitive_execute: this file has a function of that name, which the loader finds first, because
// this library is the one that libtorch is loaded for.
#include "onednn_reorder.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

namespace {

// Of oneDNN's C interface, version 3, what is needed here; its headers aren't installed with libtorch's.
using Handle = void*;
struct Argument {
  int role;
  Handle memory;
};
struct Version {
  int major, minor;
};
constexpr int kSource = 1, kDestination = 17, kScratchpad = 80;            // dnnl_exec_arg_t
constexpr int kReorder = 1, kFloat32 = 3, kBlocked = 2;                    // kinds of primitives, data, formats
constexpr int kQueryKind = 2, kQueryStrides = 14, kQueryDimensions = 256;  // dnnl_query_t
constexpr int kQuerySizes = 257, kQueryDataType = 258, kQueryOffset = 259, kQueryPaddedSizes = 260;
constexpr int kQueryFormat = 262, kQueryBlocks = 263, kQueryBlockSizes = 264, kQueryBlockDimensions = 265;
constexpr int kMaxDimensions = 12;

template <typename Function>
Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct OneDnn {
  int (*execute)(Handle primitive, Handle stream, int count,
                 const Argument* arguments) = find<int(Handle, Handle, int, const Argument*)>("dnnl_primitive_execute");
  const Version* (*version)() = find<const Version*()>("dnnl_version");
  int (*description)(Handle primitive,
                     Handle* result) = find<int(Handle, Handle*)>("dnnl_primitive_get_primitive_desc");
  int (*query)(Handle description, int what, int index,
               void* result) = find<int(Handle, int, int, void*)>("dnnl_primitive_desc_query");
  int (*layout)(Handle memory, Handle* result) = find<int(Handle, Handle*)>("dnnl_memory_get_memory_desc");
  int (*queryLayout)(Handle layout, int what, void* result) = find<int(Handle, int, void*)>("dnnl_memory_desc_query");
  int (*data)(Handle memory, void** result) = find<int(Handle, void**)>("dnnl_memory_get_data_handle");

  bool isKnown() const {
    return version && version()->major == 3 && description && query && layout && queryLayout && data;
  }
};

const OneDnn& oneDnn() {
  static const OneDnn instance;
  return instance;
}

// Where the elements lie: at the sum of what each index says by itself, whatever the blocks.
struct Layout {
  int dimensions = 0;
  std::array<int64_t, kMaxDimensions> sizes{}, padded{};
  std::array<std::vector<int64_t>, kMaxDimensions> offsets;
  float* data = nullptr;
};

// False for what isn't float32 in a plain or blocked layout.
bool read(Handle memory, Layout& result) {
  const auto& dnn = oneDnn();
  Handle layout;
  int type, format, blocks;
  int64_t start;
  const int64_t *sizes, *padded, *strides, *blockSizes, *blockDimensions;
  void* data;
  const auto ask = [&](int what, void* answer) { return dnn.queryLayout(layout, what, answer) == 0; };
  if (dnn.layout(memory, &layout) != 0 || !ask(kQueryDataType, &type) || type != kFloat32 ||
      !ask(kQueryFormat, &format) || format != kBlocked || !ask(kQueryDimensions, &result.dimensions) ||
      result.dimensions < 1 || result.dimensions > kMaxDimensions || !ask(kQuerySizes, &sizes) ||
      !ask(kQueryPaddedSizes, &padded) || !ask(kQueryStrides, &strides) || !ask(kQueryOffset, &start) ||
      !ask(kQueryBlocks, &blocks) || !ask(kQueryBlockSizes, &blockSizes) ||
      !ask(kQueryBlockDimensions, &blockDimensions) || dnn.data(memory, &data) != 0) {
    return false;
  }
  result.data = static_cast<float*>(data) + start;
  for (int d = 0; d < result.dimensions; d++) {
    result.sizes[d] = sizes[d];
    result.padded[d] = padded[d];
    for (int64_t i = 0; i < padded[d]; i++) {
      int64_t rest = i, offset = 0, step = 1;
      for (int block = blocks - 1; block >= 0; block--) {
        if (blockDimensions[block] == d) {
          offset += rest % blockSizes[block] * step;
          rest /= blockSizes[block];
        }
        step *= blockSizes[block];
      }
      result.offsets[d].push_back(offset + rest * strides[d]);
    }
  }
  return true;
}

bool areAdjacent(const std::vector<int64_t>& offsets, int64_t count) {
  for (int64_t i = 1; i < count; i++) {
    if (offsets[i] != offsets[0] + i) return false;
  }
  return true;
}

// Writes all of `to`, zeros where it is padded.
void reorder(const Layout& from, const Layout& to) {
  // From the dimension with the largest steps in what is written to that with the smallest.
  std::array<int, kMaxDimensions> order{};
  std::iota(order.begin(), order.end(), 0);
  const auto step = [&](int d) { return to.padded[d] > 1 ? to.offsets[d][1] - to.offsets[d][0] : INT64_MAX; };
  std::sort(order.begin(), order.begin() + to.dimensions, [&](int a, int b) { return step(a) > step(b); });
  const int outer = to.dimensions - 1, inner = order[outer];
  const int64_t size = to.sizes[inner], padded = to.padded[inner];
  const auto &reads = from.offsets[inner], &writes = to.offsets[inner];
  const bool copies = areAdjacent(reads, size) && areAdjacent(writes, size);
  int64_t rows = 1;
  for (int i = 0; i < outer; i++) rows *= to.padded[order[i]];

  constexpr int64_t kGrain = 1 << 15;
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / padded), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const float* source = from.data;
      float* target = to.data;
      bool isPadding = false;
      int64_t rest = row;
      for (int i = outer - 1; i >= 0; i--) {
        const int d = order[i];
        const int64_t index = rest % to.padded[d];
        rest /= to.padded[d];
        target += to.offsets[d][index];
        isPadding = isPadding || index >= to.sizes[d];
        if (!isPadding) source += from.offsets[d][index];
      }
      const int64_t count = isPadding ? 0 : size;
      if (copies && count > 0) {
        std::memcpy(target + writes[0], source + reads[0], static_cast<size_t>(count) * sizeof(float));
      } else {
        for (int64_t i = 0; i < count; i++) target[writes[i]] = source[reads[i]];
      }
      for (int64_t i = count; i < padded; i++) target[writes[i]] = 0;
    }
  });
}

std::atomic<bool> isOurs{false};

// Whether it was a reorder that could be done here, and is done. libtorch asks for none that also scales or adds.
bool reordered(Handle primitive, int count, const Argument* arguments) {
  const auto& dnn = oneDnn();
  Handle description;
  int kind;
  if (!isOurs || dnn.description(primitive, &description) != 0 || dnn.query(description, kQueryKind, 0, &kind) != 0 ||
      kind != kReorder) {
    return false;
  }
  Layout from, to;
  bool hasFrom = false, hasTo = false;
  for (int i = 0; i < count; i++) {
    const auto& [role, memory] = arguments[i];
    if (role == kSource) {
      hasFrom = read(memory, from);
    } else if (role == kDestination) {
      hasTo = read(memory, to);
    } else if (role != kScratchpad) {
      return false;
    }
  }
  if (!hasFrom || !hasTo) return false;
  reorder(from, to);
  return true;
}

}  // namespace

// As oneDNN declares it.
extern "C" __attribute__((visibility("default"))) int dnnl_primitive_execute(Handle primitive, Handle stream, int count,
                                                                             const Argument* arguments) {
  return reordered(primitive, count, arguments) ? 0 : oneDnn().execute(primitive, stream, count, arguments);
}

namespace torchjs {

bool reordersWrongly() { return oneDnn().isKnown() && oneDnn().version()->minor == 7; }

void reorderOurselves() { isOurs = oneDnn().isKnown(); }

}  // namespace torchjs
