#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Optional.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>

#include "parallel.h"

namespace peekaboo {

// An argument of an operator, for its error messages.
struct Argument {
  const char* name;
  const at::Tensor& tensor;
};

// Throws unless `weight` is floating-point, `others` have its dtype and shape, and `flips`, if defined, is int32 of
// its shape.
void checkLikeWeight(const char* op, const at::Tensor& weight, std::initializer_list<Argument> others,
                     const at::Tensor& flips);

// Throws unless `value` lies between 0 and 1, both excluded.
void checkRate(const char* op, const char* name, double value);

// Throws unless `tau` is 0 or more.
void checkThreshold(const char* op, double tau);

// True where one raw loop over all of them visits the same element of each: `weight` is dense float32 on the CPU, the
// others and `flips`, if defined, have its strides.
bool sameOrder(const at::Tensor& weight, std::initializer_list<Argument> others, const at::Tensor& flips);

// Writes `values` into `target`, unless `go` is given and false; nobody waits to know which.
void put(const at::Tensor& target, const at::Tensor& values, const c10::optional<at::Tensor>& go);

// Flips the weights that are `due`, whose signs are those of `average`, unless `go` is given and false. Counts each
// one's flips in `counts`, if defined, and returns how many there are as int64 on their device.
at::Tensor flipSigns(const at::Tensor& weight, const at::Tensor& average, const at::Tensor& due,
                     const at::Tensor& counts, const c10::optional<at::Tensor>& go);

// A step by a raw loop, in parallel, where there is `sameOrder`: run(begin, flips, count) steps `count` weights from
// `begin` on, counts each one's flips in `flips`, if not null, and returns how many flipped. The sum is what comes
// back; autograd is told that `changed` were written to behind its back, as far as they are defined.
template <typename Run>
at::Tensor stepInOrder(const at::Tensor& weight, const at::Tensor& flips,
                       std::initializer_list<const at::Tensor*> changed, const Run& run) {
  int32_t* perWeight = flips.defined() ? flips.data_ptr<int32_t>() : nullptr;
  std::atomic<int64_t> total{0};
  at::parallel_for(0, weight.numel(), kGrain, [&](int64_t begin, int64_t end) {
    total += run(begin, perWeight ? perWeight + begin : nullptr, end - begin);
  });
  for (const auto* tensor : changed) {
    if (tensor->defined()) tensor->unsafeGetTensorImpl()->bump_version();
  }
  return at::full({}, total.load(), at::kLong);
}

}  // namespace peekaboo
