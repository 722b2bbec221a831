#pragma once

#include <cstdint>
#include <vector>

#include "integer_tile.h"
#include "levels.h"

namespace peekaboo {

// Room behind each panel: with panels of a power of two, the same place of all would share one of a cache.
constexpr int64_t kPanelPad = 320;

inline int64_t panelBytes(int64_t pixels, int64_t groups, int64_t lanes) {
  return pixels * groups * lanes * kLaneBytes + kPanelPad;
}

// A tensor [N, C, H, W] in channels-last memory, and the pixels of it that are wanted, by row and by column.
struct Pixels {
  const float* values;
  int64_t images, channels, height, width;
  std::vector<uint8_t> wantedRow, wantedColumn;
};

// How quantised numbers are laid out. A channel's levels, less `zero`, of `imagesOfLane` images make one lane of four
// bytes; with two planes it is two lanes, of 256·high + low + 128 the signed bytes high and low. The lanes of a pixel
// and a group of images are cut into panels of `panel` lanes; a panel holds its lanes of [H][W][group of images].
struct Packing {
  int64_t imagesOfLane;
  int64_t planes;
  int64_t panel;
  int32_t zero;

  int64_t groups(const Pixels& pixels) const { return (pixels.images + imagesOfLane - 1) / imagesOfLane; }
  int64_t panels(const Pixels& pixels) const { return (pixels.channels * planes + panel - 1) / panel; }
  int64_t bytesOfPanel(const Pixels& pixels) const {
    return panelBytes(pixels.height * pixels.width, groups(pixels), panel);
  }
};

// Quantises and packs the wanted pixels, multithreaded; sums[(y * W + x) * C + c] is what the levels less `zero` add up
// to over the images. Images that fill up a group count as zeros of the tensor, whose level is `zero`; `sums` may be
// null.
void pack(const Pixels& pixels, const Levels& levels, const Packing& packing, uint8_t* target, int32_t* sums);

// What quantising alone gives, from what `pack` has made of one plane of at most 8 bits: `values` in channels-last
// memory, zeros for pixels that aren't wanted. pixels.values isn't read.
void unpack(const Pixels& pixels, const Levels& levels, const Packing& packing, const uint8_t* packed, float* values);

}  // namespace peekaboo
