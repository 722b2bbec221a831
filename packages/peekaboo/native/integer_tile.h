#pragma once

#include <cstdint>

namespace peekaboo {

// Channels beside each other in a packed vector.
constexpr int64_t kLanes = 16;
constexpr int64_t kLaneBytes = 4;
constexpr int64_t kVectorBytes = kLanes * kLaneBytes;

// Rows of a tile of the result, and its columns in vectors.
constexpr int64_t kTallTile = 12;
constexpr int64_t kLowTile = 8;
constexpr int64_t kTileVectors = 2;
// Rows of a tile of one vector.
constexpr int64_t kColumnTile = 16;

// The steps of a sum, in three nested loops. A step reads the tile's rows of g one after the other, and a vector of
// each x; the next step's lie behind. What the outer loops add to the addresses is given in bytes.
struct Steps {
  int64_t rows, runs, steps;
  int64_t gRow, gRun;
  int64_t xRow, xRun;
};

// How a processor multiplies integers. Both factors come in lanes of four bytes, which hold one number of several
// images, and a step adds a lane's products to an int32: four bytes, unsigned of x and signed of g, or two int16.
struct TileKernel {
  const char* name;
  bool bytes;
  // tile[r * vectors * kLanes + v * kLanes + l] = Σ_steps Σ_images g[r] · x[v][l], for `rows` kTallTile or kLowTile, or
  // kColumnTile and one vector.
  void (*run)(const Steps& steps, int64_t rows, int64_t vectors, const uint8_t* g, const uint8_t* const* x,
              int32_t* tile);

  int64_t imagesOfLane() const { return bytes ? 4 : 2; }
};

// The fastest of this processor (processor.h); null where arithmetic in floats is faster, as without AVX2. The
// environment's PEEKABOO_INTEGERS names another ("avx512-vnni", "avx-vnni", "avx512", "avx2"), or by any other word
// none.
const TileKernel* bestTileKernel();

}  // namespace peekaboo
