#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

#include <cstdint>
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

/// Writes `values` into `target`, unless `go` is given and false; nobody waits to know which.
void put(const at::Tensor& target, const at::Tensor& values, const c10::optional<at::Tensor>& go);

/// Flips the weights that are `due`, whose signs are those of `average`, unless `go` is given and false. Counts each
/// one's flips in `counts`, if defined, and returns how many there are as int64 on their device.
at::Tensor flip_signs(const at::Tensor& weight, const at::Tensor& average, const at::Tensor& due,
                      const at::Tensor& counts, const c10::optional<at::Tensor>& go);

/// A number of flips as an operator returns it.
at::Tensor count_of(int64_t flips);

/// Tells autograd that these were written to behind its back; undefined ones are passed over.
void bump_versions(std::initializer_list<const at::Tensor*> changed);

}  // namespace peekaboo
