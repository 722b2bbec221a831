#include "integer_pack.h"

#include <algorithm>
#include <cstring>

#include "integer_tile.h"
#include "parallel.h"
#include "processor.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

// What is to be compiled anew in each version of the function that calls it.
#if defined(__GNUC__)
#define PEEKABOO_INLINE inline __attribute__((always_inline))
#define PEEKABOO_PREFETCH(address) __builtin_prefetch(address)
#else
#define PEEKABOO_INLINE inline
#define PEEKABOO_PREFETCH(address) static_cast<void>(address)
#endif

namespace peekaboo {
namespace {

// Neighbours in a row that are packed together: reading goes on where it was in the same images.
constexpr int64_t kPixelsAtOnce = 16;
constexpr int64_t kFloatsOfCacheLine = 16;

// A few pixels of a row, and what it takes to pack them.
struct Strip {
  const Pixels& pixels;
  const Levels levels;
  const Packing& packing;
  int64_t y, left, right;
  const float* zeros;  // a pixel of zeros
  int32_t* lanes;      // room for a pixel's lanes, in whole panels
  uint8_t* target;
  int32_t* sums;  // null if not wanted
};

// The lanes of kLanes channels, and their sums over the images.
template <int64_t kImages, int64_t kPlanes>
PEEKABOO_INLINE void packChannels(const float* const* images, const Levels& levels, int32_t zero, int32_t* lanes,
                                  int32_t* sums) {
  constexpr float kInteger = 8388608.0f;  // 2^23: from here on every float is an integer
  constexpr int kBits = 32 / kImages;
  constexpr uint32_t kMask = (uint32_t{1} << kBits) - 1;
  const float lo = levels.lo, step = levels.step, top = levels.top;
  for (int64_t l = 0; l < kLanes; l++) {
    uint32_t first = 0, second = 0;
    int32_t sum = 0;
    for (int64_t i = 0; i < kImages; i++) {
      float level = (images[i][l] - lo) / step;
      level = level < 0.0f ? 0.0f : level;
      level = level > top ? top : level;
      const int32_t number = static_cast<int32_t>((level + kInteger) - kInteger) - zero;  // half to even
      sum += number;
      if (kPlanes == 2) {
        first |= (static_cast<uint32_t>(number >> 8) & kMask) << (i * kBits);
        second |= ((static_cast<uint32_t>(number) & kMask) ^ 128) << (i * kBits);
      } else {
        first |= (static_cast<uint32_t>(number) & kMask) << (i * kBits);
      }
    }
    if (kPlanes == 2) {
      lanes[2 * l] = static_cast<int32_t>(first);
      lanes[2 * l + 1] = static_cast<int32_t>(second);
    } else {
      lanes[l] = static_cast<int32_t>(first);
    }
    sums[l] = sum;
  }
}

// Copies of 16 bytes: wider ones would read across two stores that have just been made, for which processors wait.
template <int64_t kPanel>
PEEKABOO_INLINE void distribute(const int32_t* lanes, int64_t panels, int64_t bytesOfPanel, uint8_t* target) {
  using Quad = int32_t __attribute__((vector_size(16)));
  constexpr int64_t kBytes = sizeof(Quad);
  const auto* source = reinterpret_cast<const uint8_t*>(lanes);
  for (int64_t t = 0; t < panels; t++) {
    for (int64_t offset = 0; offset < kPanel * kLaneBytes; offset += kBytes) {
      Quad quad;
      std::memcpy(&quad, source + t * kPanel * kLaneBytes + offset, sizeof quad);
      std::memcpy(target + t * bytesOfPanel + offset, &quad, sizeof quad);
    }
  }
}

// All lanes of a pixel, and its sums over the images added to `total`.
template <int64_t kImages, int64_t kPlanes>
PEEKABOO_INLINE void packPixel(const Strip& strip, const float* const* images, int32_t* total) {
  const int64_t channels = strip.pixels.channels;
  for (int64_t c = 0; c < channels; c += kLanes) {
    const int64_t count = std::min(kLanes, channels - c);
    float filled[kImages][kLanes];
    const float* own[kImages];
    for (int64_t i = 0; i < kImages; i++) {
      own[i] = images[i] + c;
      if (count == kLanes) continue;
      for (int64_t l = 0; l < kLanes; l++) filled[i][l] = l < count ? own[i][l] : 0.0f;
      own[i] = filled[i];
    }
    int32_t sums[kLanes];
    packChannels<kImages, kPlanes>(own, strip.levels, strip.packing.zero, strip.lanes + c * kPlanes, sums);
    if (!total) continue;
    for (int64_t l = 0; l < count; l++) total[c + l] += sums[l];
  }
}

// An image's channels at a pixel; zeros for an image that only fills up a group.
PEEKABOO_INLINE const float* channelsAt(const Strip& strip, int64_t image, int64_t pixel) {
  const Pixels& pixels = strip.pixels;
  if (image >= pixels.images) return strip.zeros;
  return pixels.values + (image * pixels.height * pixels.width + pixel) * pixels.channels;
}

template <int64_t kImages, int64_t kPlanes>
PEEKABOO_INLINE void packStripOf(const Strip& strip) {
  const Pixels& pixels = strip.pixels;
  const Packing& packing = strip.packing;
  const int64_t groups = packing.groups(pixels), panels = packing.panels(pixels);
  const int64_t bytesOfPanel = packing.bytesOfPanel(pixels), channels = pixels.channels;
  const int64_t imageSize = pixels.height * pixels.width * channels;
  for (int64_t group = 0; group < groups; group++) {
    for (int64_t x = strip.left; x < strip.right; x++) {
      if (!pixels.wantedColumn[x]) continue;
      const int64_t pixel = strip.y * pixels.width + x;
      const float* images[kImages];
      for (int64_t i = 0; i < kImages; i++) {
        const int64_t image = group * kImages + i;
        images[i] = channelsAt(strip, image, pixel);
        if (image + kImages >= pixels.images) continue;
        const float* next = images[i] + kImages * imageSize;
        for (int64_t c = 0; c < channels; c += kFloatsOfCacheLine) PEEKABOO_PREFETCH(next + c);
      }
      packPixel<kImages, kPlanes>(strip, images, strip.sums ? strip.sums + pixel * channels : nullptr);
      uint8_t* target = strip.target + (pixel * groups + group) * packing.panel * kLaneBytes;
      switch (packing.panel) {
        case kTallTile:
          distribute<kTallTile>(strip.lanes, panels, bytesOfPanel, target);
          break;
        case kLowTile:
          distribute<kLowTile>(strip.lanes, panels, bytesOfPanel, target);
          break;
        default:
          distribute<kLanes>(strip.lanes, panels, bytesOfPanel, target);
      }
    }
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define PEEKABOO_PACK_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))

// Levels by AVX-512, as packChannels has them.
struct WideLevels {
  // Where no remainder below is too small or too large for a float.
  static constexpr float kSmallest = 1e-27f, kLargest = 1e27f;

  PEEKABOO_PACK_TARGET WideLevels(const Levels& levels, int32_t zero)
      : lo(_mm512_set1_ps(levels.lo)),
        step(_mm512_set1_ps(levels.step)),
        inverse(_mm512_set1_ps(1.0f / levels.step)),
        top(_mm512_set1_ps(levels.top)),
        zero(_mm512_set1_epi32(zero)),
        divides(levels.step < kSmallest || levels.step > kLargest) {}

  // value / step, correctly rounded: two corrections by the remainder, which fused is exact, bring any quotient there
  // (Markstein 1990), in a fraction of a division's time.
  PEEKABOO_PACK_TARGET PEEKABOO_INLINE __m512 quotient(__m512 value) const {
    if (divides) return _mm512_div_ps(value, step);
    __m512 result = _mm512_mul_ps(value, inverse);
    result = _mm512_fmadd_ps(_mm512_fnmadd_ps(result, step, value), inverse, result);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(result, step, value), inverse, result);
  }

  PEEKABOO_PACK_TARGET PEEKABOO_INLINE __m512i numbers(__m512 values) const {
    __m512 level = quotient(_mm512_sub_ps(values, lo));
    level = _mm512_min_ps(_mm512_max_ps(level, _mm512_setzero_ps()), top);
    return _mm512_sub_epi32(_mm512_cvtps_epi32(level), zero);  // half to even
  }

  const __m512 lo, step, inverse, top;
  const __m512i zero;
  const bool divides;
};

// The lower halves of two vectors' lanes, those of `odd` above those of `even`.
PEEKABOO_PACK_TARGET PEEKABOO_INLINE __m512i lowerHalves(__m512i even, __m512i odd) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16));
}

// The lanes of kLanes channels of four images, kPlanes vectors of them.
template <int64_t kPlanes>
PEEKABOO_PACK_TARGET PEEKABOO_INLINE void packLanes(const __m512i* numbers, __m512i* lanes) {
  // Of a lane's two numbers of 16 bits, the low bytes before the high ones.
  const __m512i apart = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  const __m512i first = _mm512_shuffle_epi8(lowerHalves(numbers[0], numbers[1]), apart);
  const __m512i second = _mm512_shuffle_epi8(lowerHalves(numbers[2], numbers[3]), apart);
  __m512i low = lowerHalves(first, second);
  if (kPlanes == 1) {
    lanes[0] = low;
    return;
  }
  const __m512i high = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(first, 16), second);
  low = _mm512_xor_si512(low, _mm512_set1_epi8(-128));
  const __m512i even = _mm512_unpacklo_epi32(high, low), odd = _mm512_unpackhi_epi32(high, low);
  lanes[0] = _mm512_permutex2var_epi64(even, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), odd);
  lanes[1] = _mm512_permutex2var_epi64(even, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), odd);
}

// packStripOf<4, kPlanes>
template <int64_t kPlanes>
PEEKABOO_PACK_TARGET void packStripAvx512(const Strip& strip) {
  constexpr int64_t kImages = 4;
  const Pixels& pixels = strip.pixels;
  const Packing& packing = strip.packing;
  const WideLevels levels(strip.levels, packing.zero);
  const int64_t groups = packing.groups(pixels), panels = packing.panels(pixels);
  const int64_t bytesOfPanel = packing.bytesOfPanel(pixels), channels = pixels.channels;
  const int64_t imageSize = pixels.height * pixels.width * channels;
  for (int64_t group = 0; group < groups; group++) {
    for (int64_t x = strip.left; x < strip.right; x++) {
      if (!pixels.wantedColumn[x]) continue;
      const int64_t pixel = strip.y * pixels.width + x;
      const float* images[kImages];
      for (int64_t i = 0; i < kImages; i++) {
        images[i] = channelsAt(strip, group * kImages + i, pixel);
      }
      const bool hasNext = (group + 2) * kImages <= pixels.images;
      uint8_t* target = strip.target + (pixel * groups + group) * packing.panel * kLaneBytes;
      for (int64_t c = 0; c < channels; c += kLanes) {
        const auto live = static_cast<__mmask16>(channels - c < kLanes ? (1u << (channels - c)) - 1 : 0xffffu);
        __m512i numbers[kImages];
#pragma GCC unroll 4
        for (int64_t i = 0; i < kImages; i++) {
          if (hasNext) PEEKABOO_PREFETCH(images[i] + c + kImages * imageSize);
          numbers[i] = levels.numbers(_mm512_maskz_loadu_ps(live, images[i] + c));
        }
        if (strip.sums) {
          int32_t* total = strip.sums + pixel * channels + c;
          const __m512i sum =
              _mm512_add_epi32(_mm512_add_epi32(numbers[0], numbers[1]), _mm512_add_epi32(numbers[2], numbers[3]));
          _mm512_mask_storeu_epi32(total, live, _mm512_add_epi32(_mm512_maskz_loadu_epi32(live, total), sum));
        }
        __m512i lanes[kPlanes];
        packLanes<kPlanes>(numbers, lanes);
#pragma GCC unroll 2
        for (int64_t p = 0; p < kPlanes; p++) {
          const int64_t vector = c / kLanes * kPlanes + p;
          if (packing.panel == kLanes) {
            if (vector < panels) _mm512_storeu_si512(target + vector * bytesOfPanel, lanes[p]);
          } else {
            _mm512_storeu_si512(strip.lanes + vector * kLanes, lanes[p]);
          }
        }
      }
      if (packing.panel == kTallTile) distribute<kTallTile>(strip.lanes, panels, bytesOfPanel, target);
      if (packing.panel == kLowTile) distribute<kLowTile>(strip.lanes, panels, bytesOfPanel, target);
    }
  }
}
#endif

PEEKABOO_MULTIVERSION void packStripAny(const Strip& strip) {
  if (strip.packing.imagesOfLane == 2) {
    packStripOf<2, 1>(strip);
  } else if (strip.packing.planes == 2) {
    packStripOf<4, 2>(strip);
  } else {
    packStripOf<4, 1>(strip);
  }
}

void packStrip(const Strip& strip) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (processor().avx512 && strip.packing.imagesOfLane == 4) {
    return strip.packing.planes == 2 ? packStripAvx512<2>(strip) : packStripAvx512<1>(strip);
  }
#endif
  packStripAny(strip);
}

}  // namespace

void pack(const Pixels& pixels, const Levels& levels, const Packing& packing, uint8_t* target, int32_t* sums) {
  if (sums) std::fill(sums, sums + pixels.height * pixels.width * pixels.channels, 0);
  // Small images are cut finer, so that all threads have a share.
  const int64_t shares = 4 * at::get_num_threads();
  const int64_t width = std::clamp<int64_t>(pixels.height * pixels.width / shares, 1, kPixelsAtOnce);
  const int64_t strips = (pixels.width + width - 1) / width;
  at::parallel_for(0, pixels.height * strips, 1, [&](int64_t begin, int64_t end) {
    const std::vector<float> zeros(pixels.channels);
    std::vector<int32_t> lanes((pixels.channels + 2 * kLanes) * packing.planes);
    for (int64_t index = begin; index < end; index++) {
      const int64_t y = index / strips, left = index % strips * width;
      if (!pixels.wantedRow[y]) continue;
      packStrip({pixels, levels, packing, y, left, std::min(left + width, pixels.width), zeros.data(), lanes.data(),
                 target, sums});
    }
  });
}

void unpack(const Pixels& pixels, const Levels& levels, const Packing& packing, const uint8_t* packed, float* values) {
  const int64_t groups = packing.groups(pixels), bytesOfPanel = packing.bytesOfPanel(pixels);
  const int64_t channels = pixels.channels, imageSize = pixels.height * pixels.width * channels;
  const int64_t bits = 32 / packing.imagesOfLane;
  at::parallel_for(0, pixels.height * pixels.width, 1, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; pixel++) {
      const bool wanted = pixels.wantedRow[pixel / pixels.width] && pixels.wantedColumn[pixel % pixels.width];
      for (int64_t image = 0; image < pixels.images; image++) {
        float* const target = values + image * imageSize + pixel * channels;
        const int64_t lane = (pixel * groups + image / packing.imagesOfLane) * packing.panel;
        for (int64_t c = 0; c < channels; c++) {
          uint32_t numbers = 0;
          if (wanted) {
            const int64_t place = lane + c % packing.panel;
            std::memcpy(&numbers, packed + c / packing.panel * bytesOfPanel + place * kLaneBytes, sizeof numbers);
          }
          const uint32_t number = numbers >> (image % packing.imagesOfLane * bits);
          const uint32_t level = (number + static_cast<uint32_t>(packing.zero)) & 0xff;
          target[c] = wanted ? static_cast<float>(level) * levels.step + levels.lo : 0.0f;
        }
      }
    }
  });
}

}  // namespace peekaboo
