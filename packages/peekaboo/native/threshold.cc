// Which weights a pruning round keeps: the k-th smallest of all scores, and the masks above it (ALGORITHM §2).

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <tuple>
#include <vector>

#include "parallel.h"

namespace peekaboo {
namespace {

// The order of doubles as unsigned integers: sign bit set for positive numbers, all bits flipped for negative ones.
inline uint64_t sortable(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits ^ (-(bits >> 63) | (uint64_t{1} << 63));
}

constexpr int kShift = 48;  // the first 16 bits: sign, exponent and 4 bits of the fraction
constexpr size_t kBuckets = size_t{1} << 16;

bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kDouble && tensor.is_contiguous();
}

// Calls body(values, count) for the runs that make up all elements of plain tensors, in parallel: each thread's share is
// one range, which may cover many small tensors.
template <typename MakeBody>
void for_all(at::TensorList scores, int64_t total, const MakeBody& make_body) {
  at::parallel_for(0, total, kGrain, [&](int64_t begin, int64_t end) {
    auto body = make_body();
    int64_t first = 0;
    for (const at::Tensor& tensor : scores) {
      const int64_t from = std::max(begin - first, int64_t{0});
      const int64_t to = std::min(end - first, tensor.numel());
      if (from < to) body(tensor.data_ptr<double>() + from, to - from);
      first += tensor.numel();
    }
  });
}

// A thread's histogram of the scores' leading bits, added to the common one in the end.
class LeadingBits {
 public:
  LeadingBits(std::vector<int64_t>& common, bool& numbers, std::mutex& merging)
      : common_(common), common_numbers_(numbers), merging_(merging), own_(kBuckets, 0) {}
  LeadingBits(const LeadingBits&) = delete;
  LeadingBits& operator=(const LeadingBits&) = delete;

  ~LeadingBits() {
    const std::lock_guard<std::mutex> lock(merging_);
    common_numbers_ &= numbers_;
    for (size_t b = 0; b < kBuckets; b++) common_[b] += own_[b];
  }

  void operator()(const double* values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
      numbers_ &= !std::isnan(values[i]);
      own_[sortable(values[i]) >> kShift]++;
    }
  }

 private:
  std::vector<int64_t>& common_;
  bool& common_numbers_;
  std::mutex& merging_;
  std::vector<int64_t> own_;
  bool numbers_ = true;
};

// Counts the scores by their leading bits; false if one is NaN.
bool count_leading(at::TensorList scores, int64_t total, std::vector<int64_t>& histogram) {
  std::mutex merging;
  bool numbers = true;
  for_all(scores, total, [&] { return LeadingBits(histogram, numbers, merging); });
  return numbers;
}

std::vector<double> in_bucket(at::TensorList scores, int64_t total, uint64_t bucket, int64_t count) {
  std::mutex merging;
  std::vector<double> found;
  found.reserve(count);
  for_all(scores, total, [&] {
    return [&](const double* values, int64_t run) {
      std::vector<double> own;
      for (int64_t i = 0; i < run; i++) {
        if (sortable(values[i]) >> kShift == bucket) own.push_back(values[i]);
      }
      const std::lock_guard<std::mutex> lock(merging);
      found.insert(found.end(), own.begin(), own.end());
    };
  });
  return found;
}

// The k-th smallest (from 1) of all elements of `scores`; NaN if one is NaN.
double kth_smallest(at::TensorList scores, int64_t k) {
  int64_t total = 0;
  bool plain = true;
  for (const at::Tensor& tensor : scores) {
    total += tensor.numel();
    plain &= is_plain(tensor);
  }
  TORCH_CHECK(k >= 1 && k <= total, "kth_smallest: k must be from 1 to the number of scores ", total, ", received ", k);
  if (!plain) {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& tensor : scores) flat.push_back(tensor.reshape({-1}).to(at::kDouble));
    const at::Tensor all = at::cat(flat);
    if (at::isnan(all).any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
    return std::get<0>(at::kthvalue(all, k)).item<double>();
  }
  std::vector<int64_t> histogram(kBuckets, 0);
  if (!count_leading(scores, total, histogram)) return std::numeric_limits<double>::quiet_NaN();
  size_t bucket = 0;
  int64_t before = 0;
  while (before + histogram[bucket] < k) before += histogram[bucket++];
  std::vector<double> found = in_bucket(scores, total, bucket, histogram[bucket]);
  const auto kth = found.begin() + (k - before - 1);
  std::nth_element(found.begin(), kth, found.end());
  return *kth;
}

// The uint8 mask of the scores above `threshold`, how many these are, and how many equal it.
std::tuple<at::Tensor, int64_t, int64_t> keep_above(const at::Tensor& score, double threshold) {
  if (!is_plain(score)) {
    const at::Tensor mask = score > threshold;
    return {mask.to(at::kByte), mask.sum().item<int64_t>(), (score == threshold).sum().item<int64_t>()};
  }
  const at::Tensor mask = at::empty(score.sizes(), score.options().dtype(at::kByte));
  const double* values = score.data_ptr<double>();
  uint8_t* kept = mask.data_ptr<uint8_t>();
  std::mutex merging;
  int64_t above = 0;
  int64_t equal = 0;
  at::parallel_for(0, score.numel(), kGrain, [&](int64_t begin, int64_t end) {
    int64_t own_above = 0;
    int64_t own_equal = 0;
    for (int64_t i = begin; i < end; i++) {
      kept[i] = values[i] > threshold;
      own_above += kept[i];
      own_equal += values[i] == threshold;
    }
    const std::lock_guard<std::mutex> lock(merging);
    above += own_above;
    equal += own_equal;
  });
  return {mask, above, equal};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(peekaboo, m) {
  m.def("kth_smallest(Tensor[] scores, int k) -> float");
  m.def("keep_above(Tensor score, float threshold) -> (Tensor, int, int)");
}

TORCH_LIBRARY_IMPL(peekaboo, CompositeExplicitAutograd, m) {
  m.impl("kth_smallest", kth_smallest);
  m.impl("keep_above", keep_above);
}

}  // namespace peekaboo
