#include "flow_scan.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "conv_products.h"
#include "gemm.h"
#include "parallel.h"
#include "plain.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define PEEKABOO_HAS_AVX512_BUILD 1
#endif

namespace peekaboo {
namespace {

// So many columns before weights are needed they are asked for.
constexpr int64_t kAheadInRow = 4 * kTileColumns;

// What a thread has found. Its memory serves one layer after the other.
class alignas(64) Found {
 public:
  int64_t size = 0;
  int64_t zeros = 0;
  bool nan = false;

  double* scores() { return scores_.get(); }
  int32_t* positions() { return positions_.get(); }

  void clear() {
    size = zeros = 0;
    nan = false;
  }

  // Makes sure that a tile's scores fit, and a vector's width beyond them.
  void makeRoom() {
    if (size + kTileRows * kTileColumns + kSlack <= capacity_) return;
    capacity_ = 2 * capacity_ + kTileRows * kTileColumns + kSlack;
    grow(scores_);
    grow(positions_);
  }

  // Above this many scores, the memory is given back after a layer.
  void trim() {
    if (capacity_ <= kKept) return;
    scores_.reset();
    positions_.reset();
    capacity_ = 0;
  }

 private:
  static constexpr int64_t kSlack = 16;
  static constexpr int64_t kKept = int64_t{1} << 20;

  template <typename Value>
  void grow(std::unique_ptr<Value[]>& values) {
    std::unique_ptr<Value[]> larger(new Value[capacity_]);
    std::copy(values.get(), values.get() + size, larger.get());
    values = std::move(larger);
  }

  std::unique_ptr<double[]> scores_;
  std::unique_ptr<int32_t[]> positions_;
  int64_t capacity_ = 0;
};

// A tile of gradients, and the weights that it is of.
struct FlowTile {
  const double* gradients;
  const double* weights;
  int64_t rowStep;   // from a row of weights to the tile's next one
  int64_t position;  // of the first weight
  int64_t rows, columns;
};

using ScanFlow = void (*)(const FlowTile& tile, double bound, Found& found);

void scanFlowAny(const FlowTile& tile, double bound, Found& found) {
  for (int64_t i = 0; i < tile.rows; i++) {
    for (int64_t j = 0; j < tile.columns; j++) {
      const double weight = tile.weights[i * tile.rowStep + j];
      const double score = std::abs(tile.gradients[i * kTileColumns + j] * weight);
      found.nan |= std::isnan(score);
      found.zeros += static_cast<int64_t>(weight == 0);
      found.scores()[found.size] = score;
      found.positions()[found.size] = static_cast<int32_t>(tile.position + i * tile.rowStep + j);
      found.size += static_cast<int64_t>(weight != 0) & static_cast<int64_t>(score <= bound);
    }
  }
}

#ifdef PEEKABOO_HAS_AVX512_BUILD
__attribute__((target("avx512f,popcnt"))) void scanFlowAvx512(const FlowTile& tile, double bound, Found& found) {
  const __m512d bounds = _mm512_set1_pd(bound), zero = _mm512_setzero_pd();
  const __m512i counting = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  double* scores = found.scores();
  int32_t* positions = found.positions();
  int64_t size = found.size, there = 0;
  unsigned nan = 0;
  for (int64_t i = 0; i < tile.rows; i++) {
    const double* weights = tile.weights + i * tile.rowStep;
    // Each tile's part of a row is two lines of memory, and the tiles that follow are to its right.
    __builtin_prefetch(weights + kAheadInRow);
    __builtin_prefetch(weights + kAheadInRow + kTileColumns / 2);
    for (int64_t j = 0; j < tile.columns; j += 8) {
      const auto live = static_cast<__mmask8>(tile.columns - j >= 8 ? 0xff : (1u << (tile.columns - j)) - 1);
      const __m512d weight = _mm512_maskz_loadu_pd(live, weights + j);
      const __m512d gradient = _mm512_maskz_loadu_pd(live, tile.gradients + i * kTileColumns + j);
      const __m512d score = _mm512_abs_pd(_mm512_mul_pd(gradient, weight));
      const __mmask8 nonzero = _mm512_mask_cmp_pd_mask(live, weight, zero, _CMP_NEQ_UQ);
      const __mmask8 small = _mm512_mask_cmp_pd_mask(nonzero, score, bounds, _CMP_LE_OQ);
      nan |= _mm512_cmp_pd_mask(score, score, _CMP_UNORD_Q);
      there += _mm_popcnt_u32(nonzero);
      const auto position = static_cast<int32_t>(tile.position + i * tile.rowStep + j);
      _mm512_storeu_pd(scores + size, _mm512_maskz_compress_pd(small, score));
      _mm512_storeu_si512(positions + size,
                          _mm512_maskz_compress_epi32(small, _mm512_add_epi32(_mm512_set1_epi32(position), counting)));
      size += _mm_popcnt_u32(small);
    }
  }
  found.size = size;
  found.zeros += tile.rows * tile.columns - there;
  found.nan |= nan != 0;
}
#endif

ScanFlow bestScanFlow() {
#ifdef PEEKABOO_HAS_AVX512_BUILD
  // libtorch's own variable, by which a processor is taken for a lesser one.
  const char* const asked = std::getenv("ATEN_CPU_CAPABILITY");
  if (__builtin_cpu_supports("avx512f") != 0 && (asked == nullptr || std::string_view(asked) == "avx512")) {
    return scanFlowAvx512;
  }
#endif
  return scanFlowAny;
}

class FlowVisitor : public TileVisitor {
 public:
  FlowVisitor(const at::Tensor& weight, double bound, int64_t every, std::vector<Found>& found)
      : weights_(weight.data_ptr<double>()),
        rowStep_(every * (weight.numel() / weight.size(0))),
        bound_(bound),
        found_(found) {}

  void visit(const double* tile, const TilePlace& place) override {
    static const ScanFlow scan = bestScanFlow();
    Found& own = found_[at::get_thread_num()];
    own.makeRoom();
    const int64_t position = place.row * rowStep_ + place.column;
    scan({tile, weights_ + position, rowStep_, position, place.rows, place.columns}, bound_, own);
  }

 private:
  const double* const weights_;
  const int64_t rowStep_;
  const double bound_;
  std::vector<Found>& found_;
};

// What the threads have found together.
std::tuple<at::Tensor, at::Tensor, int64_t, bool> gathered(std::vector<Found>& found, const at::Tensor& weight) {
  int64_t count = 0, zeros = 0;
  bool nan = false;
  for (const Found& own : found) {
    count += own.size;
    zeros += own.zeros;
    nan |= own.nan;
  }
  const at::Tensor scores = at::empty({count}, weight.options().requires_grad(false));
  const at::Tensor positions = at::empty({count}, scores.options().dtype(at::kInt));
  double* score = scores.data_ptr<double>();
  int32_t* position = positions.data_ptr<int32_t>();
  for (Found& own : found) {
    score = std::copy(own.scores(), own.scores() + own.size, score);
    position = std::copy(own.positions(), own.positions() + own.size, position);
    own.trim();
  }
  return {scores, positions, zeros, nan};
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, int64_t, bool> flowScan(const at::Tensor& gradient, const at::Tensor& input,
                                                           const at::Tensor& weight, at::IntArrayRef stride,
                                                           at::IntArrayRef padding, at::IntArrayRef dilation,
                                                           double bound, int64_t every) {
  TORCH_CHECK(weight.dim() == 4 && isPlain(weight, at::kDouble) && weight.numel() > 0 &&
                  weight.numel() <= std::numeric_limits<int32_t>::max(),
              "flow_scan: expected a contiguous float64 weight [O, C, K, K] on the CPU of 1 to 2^31 - 1 elements, ",
              "received ", weight.scalar_type(), " ", weight.sizes());
  TORCH_CHECK(gradient.dim() == 4 && input.dim() == 4 && gradient.scalar_type() == at::kDouble &&
                  input.scalar_type() == at::kDouble && gradient.size(0) == input.size(0) &&
                  gradient.size(1) == weight.size(0) && input.size(1) == weight.size(1),
              "flow_scan: expected the float64 input [N, C, H, W] and gradient [N, O, H', W'] of a convolution with ",
              "the weight ", weight.sizes(), ", received ", input.sizes(), " and ", gradient.sizes());
  TORCH_CHECK(every >= 1, "flow_scan: every must be at least 1, received ", every);
  thread_local std::vector<Found> found;
  if (found.size() < static_cast<size_t>(at::get_num_threads())) found = std::vector<Found>(at::get_num_threads());
  for (Found& own : found) own.clear();
  FlowVisitor visitor(weight, bound, every, found);
  visitWeightGradient(gradient, input, weight.sizes(),
                      {{stride[0], stride[1]}, {padding[0], padding[1]}, {dilation[0], dilation[1]}}, every, visitor);
  return gathered(found, weight);
}

std::tuple<int64_t, int64_t> zeroFound_(at::Tensor& weight, const at::Tensor& scores, const at::Tensor& positions,
                                        double threshold) {
  TORCH_CHECK(isPlain(weight, at::kDouble) && isPlain(scores, at::kDouble) && isPlain(positions, at::kInt) &&
                  scores.numel() == positions.numel(),
              "zero_found_: expected what flow_scan has found of a contiguous float64 weight");
  auto* weights = weight.data_ptr<double>();
  const auto* score = scores.data_ptr<double>();
  const auto* position = positions.data_ptr<int32_t>();
  const int64_t size = weight.numel();
  std::atomic<int64_t> above = 0, equal = 0;
  // No weight is found twice.
  at::parallel_for(0, scores.numel(), kGrain / 8, [&](int64_t begin, int64_t end) {
    int64_t ownAbove = 0, ownEqual = 0;
    for (int64_t i = begin; i < end; i++) {
      TORCH_CHECK_INDEX(position[i] >= 0 && position[i] < size, "zero_found_: no weight at ", position[i]);
      ownAbove += static_cast<int64_t>(score[i] > threshold);
      ownEqual += static_cast<int64_t>(score[i] == threshold);
      if (score[i] <= threshold) weights[position[i]] = 0;
    }
    above += ownAbove;
    equal += ownEqual;
  });
  return {above, equal};
}

}  // namespace peekaboo
