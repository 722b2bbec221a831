#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>

namespace peekaboo {

/// An argument of an operator, for its error messages.
struct Argument {
  const char* name;
  const at::Tensor& tensor;
};

/// Throws unless `weight` is floating-point, `others` have its dtype and shape, and `flips`, if defined, is int32 of
/// its shape.
void check_like_weight(const char* op, const at::Tensor& weight, std::initializer_list<Argument> others,
                       const at::Tensor& flips);

/// Throws unless `value` lies between 0 and 1, both excluded.
void check_rate(const char* op, const char* name, double value);

/// Throws unless `tau` is 0 or more.
void check_threshold(const char* op, double tau);

/// True where one raw loop over all of them visits the same element of each: `weight` is dense float32 on the CPU, the
/// others and `flips`, if defined, have its strides.
bool same_order(const at::Tensor& weight, std::initializer_list<Argument> others, const at::Tensor& flips);

/// Tells autograd that these were written to behind its back; undefined ones are passed over.
void bump_versions(std::initializer_list<const at::Tensor*> changed);

}  // namespace peekaboo
