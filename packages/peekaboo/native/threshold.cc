#include "threshold.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "kth.h"
#include "parallel.h"
#include "plain.h"

namespace peekaboo {
namespace {

// Below this, two passes with a histogram are as fast.
constexpr int64_t kWorthSampling = int64_t{1} << 20;

int64_t countAll(const char* name, at::TensorList scores, int64_t k) {
  int64_t total = 0;
  for (const at::Tensor& tensor : scores) total += tensor.numel();
  TORCH_CHECK(k >= 1 && k <= total, name, ": k must be from 1 to the number of scores ", total, ", received ", k);
  return total;
}

bool allPlain(at::TensorList tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const auto& tensor) { return isPlain(tensor, at::kDouble); });
}

int64_t countPairs(at::TensorList gradients, at::TensorList weights, int64_t k) {
  const int64_t total = countAll("kth_saliency", gradients, k);
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

// Writes a run of keepAbove's mask; how many are above the threshold, and how many equal it.
PEEKABOO_MULTIVERSION std::pair<int64_t, int64_t> maskRun(const double* values, uint8_t* kept, int64_t count,
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

}  // namespace

double kthSmallestReference(at::TensorList scores, int64_t k) {
  countAll("kth_smallest", scores, k);
  std::vector<at::Tensor> flat;
  for (const at::Tensor& tensor : scores) flat.push_back(tensor.reshape({-1}).to(at::kDouble));
  const at::Tensor all = at::cat(flat);
  if (at::isnan(all).any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
  return std::get<0>(at::kthvalue(all, k)).item<double>();
}

double kthSmallest(at::TensorList scores, int64_t k) {
  const int64_t total = countAll("kth_smallest", scores, k);
  if (!allPlain(scores)) return kthSmallestReference(scores, k);
  const Scores all{scores, {}, total};
  if (total >= kWorthSampling) {
    if (const auto kth = kthBySampling(all, k)) return *kth;
  }
  return kthByCounting(all, k);
}

double kthSaliencyReference(at::TensorList gradients, at::TensorList weights, int64_t k) {
  countPairs(gradients, weights, k);
  return kthSmallestReference(magnitudes(gradients, weights), k);
}

double kthSaliency(at::TensorList gradients, at::TensorList weights, int64_t k) {
  const int64_t total = countPairs(gradients, weights, k);
  if (allPlain(gradients) && allPlain(weights) && total >= kWorthSampling) {
    if (const auto kth = kthBySampling({gradients, weights, total}, k)) return *kth;
  }
  return kthSmallest(magnitudes(gradients, weights), k);
}

std::tuple<at::Tensor, int64_t, int64_t> keepAboveReference(const at::Tensor& score, double threshold) {
  const at::Tensor mask = score > threshold;
  const at::Tensor counts = at::stack({mask.sum(), (score == threshold).sum()}).cpu();
  return {mask.to(at::kByte), counts[0].item<int64_t>(), counts[1].item<int64_t>()};
}

std::tuple<at::Tensor, int64_t, int64_t> keepAbove(const at::Tensor& score, double threshold) {
  if (!isPlain(score, at::kDouble)) return keepAboveReference(score, threshold);
  const at::Tensor mask = at::empty(score.sizes(), score.options().dtype(at::kByte));
  const double* values = score.data_ptr<double>();
  uint8_t* kept = mask.data_ptr<uint8_t>();
  std::mutex merging;
  int64_t above = 0;
  int64_t equal = 0;
  at::parallel_for(0, score.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const auto [ownAbove, ownEqual] = maskRun(values + begin, kept + begin, end - begin, threshold);
    const std::lock_guard<std::mutex> lock(merging);
    above += ownAbove;
    equal += ownEqual;
  });
  return {mask, above, equal};
}

}  // namespace peekaboo
