// Which weights a pruning round keeps: the k-th smallest of all scores, and the masks above it (docs/algorithm.md §2).

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "parallel.h"
#include "plain.h"
#include "scan.h"

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

// All scores of a selection: `values`, or with `factors` (as many tensors of the same shapes) |value * factor|.
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
void for_all(const Scores& scores, const MakeBody& make_body) {
  at::parallel_for(0, scores.total, kGrain, [&](int64_t begin, int64_t end) {
    auto body = make_body();
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

  void operator()(const double* values, const double* /*factors*/, int64_t count) {
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

// Counts the scores, which have no factors, by their leading bits; false if one is NaN.
bool count_leading(const Scores& scores, std::vector<int64_t>& histogram) {
  std::mutex merging;
  bool numbers = true;
  for_all(scores, [&] { return LeadingBits(histogram, numbers, merging); });
  return numbers;
}

std::vector<double> in_bucket(const Scores& scores, uint64_t bucket, int64_t count) {
  std::mutex merging;
  std::vector<double> found;
  found.reserve(count);
  for_all(scores, [&] {
    return [&](const double* values, const double* /*factors*/, int64_t run) {
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

// Below this, two passes with a histogram are as fast.
constexpr int64_t kWorthSampling = int64_t{1} << 20;
// A larger sample brackets more narrowly, but each of its scores takes a wait for memory.
constexpr int64_t kSample = int64_t{1} << 14;
// Beyond this, what is inside the bracket is worth a bracket of its own.
constexpr int64_t kWorthNarrowing = int64_t{1} << 17;

// Evenly spaced scores, `stride` from one to the next.
std::vector<double> sample_of(const Scores& scores, int64_t stride) {
  std::vector<double> sample((scores.total + stride - 1) / stride);
  at::parallel_for(0, static_cast<int64_t>(sample.size()), kSample / 16, [&](int64_t begin, int64_t end) {
    size_t tensor = 0;
    int64_t first = 0;
    for (int64_t i = begin; i < end; i++) {
      while (i * stride >= first + scores.values[tensor].numel()) first += scores.values[tensor++].numel();
      sample[i] = scores.at(tensor, i * stride - first);
    }
  });
  return sample;
}

// Two scores between which the k-th smallest probably lies: quantiles of a sample, four standard deviations either way.
// NaN if one of those is NaN.
std::pair<double, double> bracket(const Scores& scores, int64_t k) {
  std::vector<double> sample = sample_of(scores, std::max(scores.total / kSample, int64_t{1}));
  for (const double value : sample) {
    if (std::isnan(value)) return {value, value};
  }
  const auto size = static_cast<double>(sample.size());
  const double share = static_cast<double>(k) / static_cast<double>(scores.total);
  const double margin = 4 * std::sqrt(size * share * (1 - share)) + 2;
  const auto at_place = [&](double place) {
    if (place < 0) return -std::numeric_limits<double>::infinity();
    if (place >= size) return std::numeric_limits<double>::infinity();
    const auto nth = sample.begin() + static_cast<int64_t>(place);
    std::nth_element(sample.begin(), nth, sample.end());
    return *nth;
  };
  return {at_place(size * share - margin), at_place(size * share + margin)};
}

struct Between {
  int64_t below = 0;
  int64_t at_low = 0;
  int64_t at_high = 0;
  bool numbers = true;
  std::vector<double> inside;
};

// How many scores are below, at either end of, and which are inside the bracket.
Between between(const Scores& scores, double low, double high) {
  std::mutex merging;
  Between all;
  for_all(scores, [&] {
    return [&](const double* values, const double* factors, int64_t count) {
      Between own;
      std::array<double, kRun> found;
      for (int64_t begin = 0; begin < count; begin += kRun) {
        const double* own_factors = factors == nullptr ? nullptr : factors + begin;
        const Scan scan = scan_run(values + begin, own_factors, std::min(kRun, count - begin), low, high, found.data());
        own.below += scan.below;
        own.at_low += scan.at_low;
        own.at_high += scan.at_high;
        own.numbers &= scan.nan == 0;
        own.inside.insert(own.inside.end(), found.begin(), found.begin() + scan.inside);
      }
      const std::lock_guard<std::mutex> lock(merging);
      all.below += own.below;
      all.at_low += own.at_low;
      all.at_high += own.at_high;
      all.numbers &= own.numbers;
      all.inside.insert(all.inside.end(), own.inside.begin(), own.inside.end());
    };
  });
  return all;
}

// The k-th smallest by one pass over the scores; nothing where the bracket missed it.
std::optional<double> kth_by_sampling(const Scores& scores, int64_t k) {
  const auto [low, high] = bracket(scores, k);
  if (std::isnan(low)) return low;
  Between found = between(scores, low, high);
  if (!found.numbers) return std::numeric_limits<double>::quiet_NaN();
  int64_t rank = k - found.below;
  if (rank < 1) return std::nullopt;
  if (rank <= found.at_low) return low;
  rank -= found.at_low;
  const auto size = static_cast<int64_t>(found.inside.size());
  if (rank <= size) {
    if (size > kWorthNarrowing) {
      const at::Tensor inside = at::from_blob(found.inside.data(), {size}, at::kDouble);
      if (const auto kth = kth_by_sampling({inside, {}, size}, rank)) return *kth;
    }
    const auto kth = found.inside.begin() + (rank - 1);
    std::nth_element(found.inside.begin(), kth, found.inside.end());
    return *kth;
  }
  if (low != high && rank - size <= found.at_high) return high;
  return std::nullopt;
}

double kth_by_counting(const Scores& scores, int64_t k) {
  std::vector<int64_t> histogram(kBuckets, 0);
  if (!count_leading(scores, histogram)) return std::numeric_limits<double>::quiet_NaN();
  size_t bucket = 0;
  int64_t before = 0;
  while (before + histogram[bucket] < k) before += histogram[bucket++];
  std::vector<double> found = in_bucket(scores, bucket, histogram[bucket]);
  const auto kth = found.begin() + (k - before - 1);
  std::nth_element(found.begin(), kth, found.end());
  return *kth;
}

int64_t count_all(const char* name, at::TensorList scores, int64_t k) {
  int64_t total = 0;
  for (const at::Tensor& tensor : scores) total += tensor.numel();
  TORCH_CHECK(k >= 1 && k <= total, name, ": k must be from 1 to the number of scores ", total, ", received ", k);
  return total;
}

// Composed of ATen operations: for every device and dtype.
double kth_smallest_reference(at::TensorList scores, int64_t k) {
  count_all("kth_smallest", scores, k);
  std::vector<at::Tensor> flat;
  for (const at::Tensor& tensor : scores) flat.push_back(tensor.reshape({-1}).to(at::kDouble));
  const at::Tensor all = at::cat(flat);
  if (at::isnan(all).any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
  return std::get<0>(at::kthvalue(all, k)).item<double>();
}

bool all_plain(at::TensorList tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const auto& tensor) { return is_plain(tensor, at::kDouble); });
}

// The k-th smallest (from 1) of all elements of `scores`; NaN if one is NaN.
double kth_smallest(at::TensorList scores, int64_t k) {
  const int64_t total = count_all("kth_smallest", scores, k);
  if (!all_plain(scores)) return kth_smallest_reference(scores, k);
  const Scores all{scores, {}, total};
  if (total >= kWorthSampling) {
    if (const auto kth = kth_by_sampling(all, k)) return *kth;
  }
  return kth_by_counting(all, k);
}

int64_t count_pairs(at::TensorList gradients, at::TensorList weights, int64_t k) {
  const int64_t total = count_all("kth_saliency", gradients, k);
  TORCH_CHECK(gradients.size() == weights.size(), "kth_saliency: expected as many weights as gradients, received ",
              weights.size(), " and ", gradients.size());
  for (size_t t = 0; t < gradients.size(); t++) {
    TORCH_CHECK(gradients[t].sizes() == weights[t].sizes(), "kth_saliency: expected tensors of one shape, received ",
                gradients[t].sizes(), " and ", weights[t].sizes());
  }
  return total;
}

std::vector<at::Tensor> magnitudes(at::TensorList gradients, at::TensorList weights) {
  std::vector<at::Tensor> products;
  for (size_t t = 0; t < gradients.size(); t++) products.push_back((gradients[t] * weights[t]).abs());
  return products;
}

// The k-th smallest (from 1) of all |gradient * weight|, which need not be written down for it; NaN if one is NaN.
double kth_saliency(at::TensorList gradients, at::TensorList weights, int64_t k) {
  const int64_t total = count_pairs(gradients, weights, k);
  if (all_plain(gradients) && all_plain(weights) && total >= kWorthSampling) {
    if (const auto kth = kth_by_sampling({gradients, weights, total}, k)) return *kth;
  }
  return kth_smallest(magnitudes(gradients, weights), k);
}

double kth_saliency_reference(at::TensorList gradients, at::TensorList weights, int64_t k) {
  count_pairs(gradients, weights, k);
  return kth_smallest_reference(magnitudes(gradients, weights), k);
}

// Writes a run of keep_above's mask; how many are above the threshold, and how many equal it.
PEEKABOO_MULTIVERSION std::pair<int64_t, int64_t> mask_run(const double* values, uint8_t* kept, int64_t count,
                                                           double threshold) {
  int64_t above = 0;
  int64_t equal = 0;
  for (int64_t i = 0; i < count; i++) {
    const bool over = values[i] > threshold;
    kept[i] = over;
    above += over;
    equal += values[i] == threshold;
  }
  return {above, equal};
}

std::tuple<at::Tensor, int64_t, int64_t> keep_above_reference(const at::Tensor& score, double threshold) {
  const at::Tensor mask = score > threshold;
  const at::Tensor counts = at::stack({mask.sum(), (score == threshold).sum()}).cpu();
  return {mask.to(at::kByte), counts[0].item<int64_t>(), counts[1].item<int64_t>()};
}

// The uint8 mask of the scores above `threshold`, how many these are, and how many equal it.
std::tuple<at::Tensor, int64_t, int64_t> keep_above(const at::Tensor& score, double threshold) {
  if (!is_plain(score, at::kDouble)) return keep_above_reference(score, threshold);
  const at::Tensor mask = at::empty(score.sizes(), score.options().dtype(at::kByte));
  const double* values = score.data_ptr<double>();
  uint8_t* kept = mask.data_ptr<uint8_t>();
  std::mutex merging;
  int64_t above = 0;
  int64_t equal = 0;
  at::parallel_for(0, score.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const auto [own_above, own_equal] = mask_run(values + begin, kept + begin, end - begin, threshold);
    const std::lock_guard<std::mutex> lock(merging);
    above += own_above;
    equal += own_equal;
  });
  return {mask, above, equal};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(peekaboo, m) {
  m.def("kth_smallest(Tensor[] scores, int k) -> float");
  m.def("kth_saliency(Tensor[] gradients, Tensor[] weights, int k) -> float");
  m.def("keep_above(Tensor score, float threshold) -> (Tensor, int, int)");
}

TORCH_LIBRARY_IMPL(peekaboo, CPU, m) {
  m.impl("kth_smallest", kth_smallest);
  m.impl("kth_saliency", kth_saliency);
  m.impl("keep_above", keep_above);
}

TORCH_LIBRARY_IMPL(peekaboo, CompositeExplicitAutograd, m) {
  m.impl("kth_smallest", kth_smallest_reference);
  m.impl("kth_saliency", kth_saliency_reference);
  m.impl("keep_above", keep_above_reference);
}

}  // namespace peekaboo
