#include "integer_pack.h"

#include <algorithm>
#include <cstring>

#include "integer_tile.h"
#include "parallel.h"

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
        images[i] = image < pixels.images ? pixels.values + image * imageSize + pixel * channels : strip.zeros;
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

PEEKABOO_MULTIVERSION void packStrip(const Strip& strip) {
  if (strip.packing.imagesOfLane == 2) {
    packStripOf<2, 1>(strip);
  } else if (strip.packing.planes == 2) {
    packStripOf<4, 2>(strip);
  } else {
    packStripOf<4, 1>(strip);
  }
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
