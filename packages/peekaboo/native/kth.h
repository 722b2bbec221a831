// The k-th smallest of many scores (docs/algorithm.md §2), found in two ways.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "parallel.h"

namespace peekaboo {

// The scores of a selection: `values`, or with `factors` (as many tensors of the same shapes) |value * factor|.
struct Scores {
  at::TensorList values;
  at::TensorList factors;
  int64_t total;

  double at(size_t tensor, int64_t i) const {
    const double value = values[tensor].data_ptr<double>()[i];
    return factors.empty() ? value : std::abs(value * factors[tensor].data_ptr<double>()[i]);
  }
};

// Calls body(values, factors or null, count) for the runs that make up all elements of plain tensors, in parallel: each
// thread's share is one range, which may cover many small tensors.
template <typename MakeBody>
void forAll(const Scores& scores, const MakeBody& makeBody) {
  at::parallel_for(0, scores.total, kGrain, [&](int64_t begin, int64_t end) {
    auto body = makeBody();
    int64_t first = 0;
    for (size_t t = 0; t < scores.values.size(); t++) {
      const at::Tensor& tensor = scores.values[t];
      const int64_t from = std::max(begin - first, int64_t{0});
      const int64_t to = std::min(end - first, tensor.numel());
      const double* factors = scores.factors.empty() ? nullptr : scores.factors[t].data_ptr<double>() + from;
      if (from < to) body(tensor.data_ptr<double>() + from, factors, to - from);
      first += tensor.numel();
    }
  });
}

// The k-th smallest (from 1) by one pass over the scores, NaN if one is NaN; nothing where the guess of a sample
// missed.
std::optional<double> kthBySampling(const Scores& scores, int64_t k);

// The same by two passes with a histogram, or by order where they are few, for scores without factors: never misses.
double kthByCounting(const Scores& scores, int64_t k);

}  // namespace peekaboo
