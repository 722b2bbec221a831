#include "integer_pack.h"

#include <algorithm>
#include <cstring>

#include "integer_tile.h"
#include "parallel.h"

#if defined(__GNUC__)
#define PEEKABOO_INLINE inline __attribute__((always_inline))
#else
#define PEEKABOO_INLINE inline
#endif

namespace peekaboo {
namespace {

constexpr int64_t kPixelsAtOnce = 16;

struct RowJob {
  const Pixels& pixels;
  const Levels& levels;
  const Packing& packing;
  int64_t y;
  const float* zeros;  // a pixel of zeros
  uint8_t* target;
  int32_t* sums;   // of this row, or null
  int32_t* lanes;  // room for a pixel's lanes, whole panels
};

// The lanes of kLanes channels from `images`.
template <int64_t kImages, int64_t kPlanes>
PEEKABOO_INLINE void packChannels(const float* const* images, Levels levels, int32_t zero, int32_t* lanes,
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
PEEKABOO_INLINE void distribute(const int32_t* lanes, int64_t panels, int64_t panelBytes, uint8_t* target) {
  using Quad = int32_t __attribute__((vector_size(16)));
  constexpr int64_t kBytes = sizeof(Quad);
  const auto* source = reinterpret_cast<const uint8_t*>(lanes);
  for (int64_t t = 0; t < panels; t++) {
    for (int64_t offset = 0; offset < kPanel * kLaneBytes; offset += kBytes) {
      Quad quad;
      std::memcpy(&quad, source + t * kPanel * kLaneBytes + offset, sizeof quad);
      std::memcpy(target + t * panelBytes + offset, &quad, sizeof quad);
    }
  }
}

template <int64_t kImages, int64_t kPlanes>
PEEKABOO_INLINE void packRowOf(const RowJob& job) {
  const Pixels& pixels = job.pixels;
  const Packing& packing = job.packing;
  const Levels levels = job.levels;
  const int64_t groups = packing.groups(pixels), channels = pixels.channels;
  const int64_t panels = packing.panels(pixels), panelBytes = packing.panelBytes(pixels);
  const int64_t plane = pixels.height * pixels.width * channels;
  for (int64_t left = 0; left < pixels.width; left += kPixelsAtOnce) {
    const int64_t right = std::min(left + kPixelsAtOnce, pixels.width);
    if (job.sums) std::fill(job.sums + left * channels, job.sums + right * channels, 0);
    for (int64_t group = 0; group < groups; group++) {
      for (int64_t x = left; x < right; x++) {
        if (!pixels.wantedColumn[x]) continue;
        const int64_t pixel = job.y * pixels.width + x;
        const float* images[kImages];
        for (int64_t i = 0; i < kImages; i++) {
          const int64_t image = group * kImages + i;
          images[i] = image < pixels.images ? pixels.values + image * plane + pixel * channels : job.zeros;
        }
        if (group + 1 < groups) {
          for (int64_t i = 0; i < kImages; i++) {
            const int64_t image = (group + 1) * kImages + i;
            if (image < pixels.images) {
              const float* next = pixels.values + image * plane + pixel * channels;
              for (int64_t c = 0; c < channels; c += 16) __builtin_prefetch(next + c);
            }
          }
        }
        for (int64_t c = 0; c < channels; c += kLanes) {
          int32_t sums[kLanes];
          const int64_t count = std::min(kLanes, channels - c);
          if (count == kLanes) {
            const float* own[kImages];
            for (int64_t i = 0; i < kImages; i++) own[i] = images[i] + c;
            packChannels<kImages, kPlanes>(own, levels, packing.zero, job.lanes + c * kPlanes, sums);
          } else {
            float values[kImages][kLanes] = {};
            const float* own[kImages];
            for (int64_t i = 0; i < kImages; i++) {
              for (int64_t l = 0; l < count; l++) values[i][l] = images[i][c + l];
              own[i] = values[i];
            }
            packChannels<kImages, kPlanes>(own, levels, packing.zero, job.lanes + c * kPlanes, sums);
          }
          if (job.sums) {
            int32_t* total = job.sums + x * channels + c;
            if (count == kLanes) {
              for (int64_t l = 0; l < kLanes; l++) total[l] += sums[l];
            } else {
              for (int64_t l = 0; l < count; l++) total[l] += sums[l];
            }
          }
        }
        uint8_t* target = job.target + (pixel * groups + group) * packing.panel * kLaneBytes;
        switch (packing.panel) {
          case kTallTile:
            distribute<kTallTile>(job.lanes, panels, panelBytes, target);
            break;
          case kLowTile:
            distribute<kLowTile>(job.lanes, panels, panelBytes, target);
            break;
          default:
            distribute<kLanes>(job.lanes, panels, panelBytes, target);
        }
      }
    }
  }
}

PEEKABOO_MULTIVERSION void packRow(const RowJob& job) {
  if (job.packing.imagesOfLane == 2) {
    packRowOf<2, 1>(job);
  } else if (job.packing.planes == 2) {
    packRowOf<4, 2>(job);
  } else {
    packRowOf<4, 1>(job);
  }
}

}  // namespace

void pack(const Pixels& pixels, const Levels& levels, const Packing& packing, uint8_t* target, int32_t* sums) {
  at::parallel_for(0, pixels.height, 1, [&](int64_t begin, int64_t end) {
    const std::vector<float> zeros(pixels.channels);
    std::vector<int32_t> lanes(pixels.channels * packing.planes + 2 * kLanes * packing.planes);
    for (int64_t y = begin; y < end; y++) {
      if (!pixels.wantedRow[y]) continue;
      int32_t* own = sums ? sums + y * pixels.width * pixels.channels : nullptr;
      packRow({pixels, levels, packing, y, zeros.data(), target, own, lanes.data()});
    }
  });
}

}  // namespace peekaboo
