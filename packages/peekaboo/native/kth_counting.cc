#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include "kth.h"

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

// A thread's histogram of the scores' leading bits, added to the common one in the end.
class LeadingBits {
 public:
  LeadingBits(std::vector<int64_t>& common, bool& numbers, std::mutex& merging)
      : common_(common), commonNumbers_(numbers), merging_(merging), own_(kBuckets, 0) {}
  LeadingBits(const LeadingBits&) = delete;
  LeadingBits& operator=(const LeadingBits&) = delete;

  ~LeadingBits() {
    const std::lock_guard<std::mutex> lock(merging_);
    commonNumbers_ &= numbers_;
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
  bool& commonNumbers_;
  std::mutex& merging_;
  std::vector<int64_t> own_;
  bool numbers_ = true;
};

// Counts the scores, which have no factors, by their leading bits; false if one is NaN.
bool countLeading(const Scores& scores, std::vector<int64_t>& histogram) {
  std::mutex merging;
  bool numbers = true;
  forAll(scores, [&] { return LeadingBits(histogram, numbers, merging); });
  return numbers;
}

std::vector<double> inBucket(const Scores& scores, uint64_t bucket, int64_t count) {
  std::mutex merging;
  std::vector<double> found;
  found.reserve(count);
  forAll(scores, [&] {
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

// Up to so many scores are ordered sooner than a histogram is cleared.
constexpr int64_t kFew = int64_t{1} << 16;

double kthOfFew(const Scores& scores, int64_t k) {
  std::vector<double> all;
  all.reserve(scores.total);
  for (const at::Tensor& tensor : scores.values) {
    const double* values = tensor.data_ptr<double>();
    all.insert(all.end(), values, values + tensor.numel());
  }
  for (const double value : all) {
    if (std::isnan(value)) return value;
  }
  std::nth_element(all.begin(), all.begin() + (k - 1), all.end());
  return all[k - 1];
}

}  // namespace

double kthByCounting(const Scores& scores, int64_t k) {
  if (scores.total <= kFew) return kthOfFew(scores, k);
  std::vector<int64_t> histogram(kBuckets, 0);
  if (!countLeading(scores, histogram)) return std::numeric_limits<double>::quiet_NaN();
  size_t bucket = 0;
  int64_t before = 0;
  while (before + histogram[bucket] < k) before += histogram[bucket++];
  std::vector<double> found = inBucket(scores, bucket, histogram[bucket]);
  const auto kth = found.begin() + (k - before - 1);
  std::nth_element(found.begin(), kth, found.end());
  return *kth;
}

}  // namespace peekaboo
