#include "integer_tile.h"

#include <cstdlib>
#include <cstring>

#include "processor.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

namespace peekaboo {
namespace {

// Part of a tile that 16 registers hold.
constexpr int64_t kFewRows = 4;

inline int32_t laneAt(const uint8_t* address) {
  int32_t lane;
  std::memcpy(&lane, address, sizeof lane);
  return lane;
}

#if defined(__x86_64__) && defined(__GNUC__)
// A function cannot take its processor from a template's argument, so this is a macro: the part of a tile that is `R`
// rows and `W` registers of `VECTOR` wide, starting at g's row `top` and at the address x[w] for each register.
#define PEEKABOO_TILE(NAME, TARGET, VECTOR, ZERO, LOAD, SPREAD, DOT, STORE)                                        \
  template <int64_t R, int64_t W>                                                                                  \
  __attribute__((target(TARGET))) void NAME(const Steps& steps, int64_t rows, const uint8_t* g,                    \
                                            const uint8_t* const* x, int32_t* tile, int64_t tileStride) {          \
    constexpr int64_t kCount = sizeof(VECTOR) / kLaneBytes;                                                        \
    VECTOR sums[R][W];                                                                                             \
    _Pragma("GCC unroll 16") for (int64_t r = 0; r < R; r++) {                                                     \
      _Pragma("GCC unroll 2") for (int64_t w = 0; w < W; w++) sums[r][w] = ZERO();                                 \
    }                                                                                                              \
    for (int64_t row = 0; row < steps.rows; row++) {                                                               \
      for (int64_t run = 0; run < steps.runs; run++) {                                                             \
        const uint8_t* own = g + row * steps.gRow + run * steps.gRun;                                              \
        const int64_t offset = row * steps.xRow + run * steps.xRun;                                                \
        const uint8_t *first = x[0] + offset, *second = x[W - 1] + offset;                                         \
        for (int64_t step = 0; step < steps.steps; step++) {                                                       \
          VECTOR others[W];                                                                                        \
          others[0] = LOAD(reinterpret_cast<const VECTOR*>(first + step * kVectorBytes));                          \
          others[W - 1] = LOAD(reinterpret_cast<const VECTOR*>(second + step * kVectorBytes));                     \
          _Pragma("GCC unroll 16") for (int64_t r = 0; r < R; r++) {                                               \
            const VECTOR lane = SPREAD(laneAt(own + r * kLaneBytes));                                              \
            _Pragma("GCC unroll 2") for (int64_t w = 0; w < W; w++) sums[r][w] = DOT(sums[r][w], others[w], lane); \
          }                                                                                                        \
          own += rows * kLaneBytes;                                                                                \
        }                                                                                                          \
      }                                                                                                            \
    }                                                                                                              \
    _Pragma("GCC unroll 16") for (int64_t r = 0; r < R; r++) {                                                     \
      _Pragma("GCC unroll 2") for (int64_t w = 0; w < W; w++) {                                                    \
        STORE(reinterpret_cast<VECTOR*>(tile + r * tileStride + w * kCount), sums[r][w]);                          \
      }                                                                                                            \
    }                                                                                                              \
  }

#define PEEKABOO_ADD_PAIRS_512(sum, x, g) _mm512_add_epi32(sum, _mm512_madd_epi16(x, g))
#define PEEKABOO_ADD_PAIRS_256(sum, x, g) _mm256_add_epi32(sum, _mm256_madd_epi16(x, g))

PEEKABOO_TILE(partAvx512Vnni, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512, _mm512_loadu_si512,
              _mm512_set1_epi32, _mm512_dpbusd_epi32, _mm512_storeu_si512)
PEEKABOO_TILE(partAvx512, "avx512f,avx512bw", __m512i, _mm512_setzero_si512, _mm512_loadu_si512, _mm512_set1_epi32,
              PEEKABOO_ADD_PAIRS_512, _mm512_storeu_si512)
#if __GNUC__ >= 11
#define PEEKABOO_AVX_VNNI
PEEKABOO_TILE(partAvxVnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256, _mm256_loadu_si256, _mm256_set1_epi32,
              _mm256_dpbusd_avx_epi32, _mm256_storeu_si256)
#endif
PEEKABOO_TILE(partAvx2, "avx2", __m256i, _mm256_setzero_si256, _mm256_loadu_si256, _mm256_set1_epi32,
              PEEKABOO_ADD_PAIRS_256, _mm256_storeu_si256)

using Part = void (*)(const Steps&, int64_t, const uint8_t*, const uint8_t* const*, int32_t*, int64_t);

// 32 registers of 64 bytes hold the whole tile.
template <Part tall, Part tallNarrow, Part low, Part lowNarrow, Part column>
void multiplyWide(const Steps& steps, int64_t rows, int64_t vectors, const uint8_t* g, const uint8_t* const* x,
                  int32_t* tile) {
  const Part part = rows == kColumnTile ? column
                    : rows == kTallTile ? (vectors == 2 ? tall : tallNarrow)
                                        : (vectors == 2 ? low : lowNarrow);
  part(steps, rows, g, x, tile, vectors * kLanes);
}

// 16 registers of 32 bytes: a few rows and one vector.
template <Part part>
void multiplyNarrow(const Steps& steps, int64_t rows, int64_t vectors, const uint8_t* g, const uint8_t* const* x,
                    int32_t* tile) {
  for (int64_t v = 0; v < vectors; v++) {
    const uint8_t* const halves[] = {x[v], x[v] + kVectorBytes / 2};
    for (int64_t top = 0; top < rows; top += kFewRows) {
      part(steps, rows, g + top * kLaneBytes, halves, tile + (top * vectors + v) * kLanes, vectors * kLanes);
    }
  }
}

constexpr TileKernel kAvx512Vnni{
    "avx512-vnni", true,
    multiplyWide<partAvx512Vnni<kTallTile, 2>, partAvx512Vnni<kTallTile, 1>, partAvx512Vnni<kLowTile, 2>,
                 partAvx512Vnni<kLowTile, 1>, partAvx512Vnni<kColumnTile, 1>>};
constexpr TileKernel kAvx512{kAvx512Name, false,
                             multiplyWide<partAvx512<kTallTile, 2>, partAvx512<kTallTile, 1>, partAvx512<kLowTile, 2>,
                                          partAvx512<kLowTile, 1>, partAvx512<kColumnTile, 1>>};
#ifdef PEEKABOO_AVX_VNNI
constexpr TileKernel kAvxVnni{"avx-vnni", true, multiplyNarrow<partAvxVnni<kFewRows, 2>>};
#endif
constexpr TileKernel kAvx2{kAvx2Name, false, multiplyNarrow<partAvx2<kFewRows, 2>>};
#endif

}  // namespace

const TileKernel* bestTileKernel() {
#if defined(__x86_64__) && defined(__GNUC__)
  struct Known {
    const TileKernel& kernel;
    bool isHere;
  };
  static const TileKernel* best = [] {
    const Known known[] = {{kAvx512Vnni, processor().avx512Vnni},
#ifdef PEEKABOO_AVX_VNNI
                           {kAvxVnni, processor().avxVnni},
#endif
                           {kAvx512, processor().avx512},
                           {kAvx2, processor().avx2}};
    const char* wanted = std::getenv("PEEKABOO_INTEGERS");
    for (const Known& one : known) {
      if (one.isHere && (!wanted || std::strcmp(wanted, one.kernel.name) == 0)) return &one.kernel;
    }
    return static_cast<const TileKernel*>(nullptr);
  }();
  return best;
#else
  return nullptr;
#endif
}

}  // namespace peekaboo
