#include "winograd_kernels.h"

#include "processor.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__)
#include <arm_neon.h>
#endif

namespace peekaboo {
namespace winograd {
namespace {

// For each set of instructions: its vector of kWidth floats, and how many of a panel's rows, two vectors each, its
// registers hold.
namespace portable {
#define PEEKABOO_TARGET
constexpr int kWidth = 4;
constexpr const char* kName = kPortable;
#if defined(__aarch64__) && defined(__GNUC__)
constexpr int kRows = 8;
using Vec = float32x4_t;
inline Vec load(const float* source) { return vld1q_f32(source); }
inline void store(float* target, Vec value) { vst1q_f32(target, value); }
inline Vec broadcast(float value) { return vdupq_n_f32(value); }
inline Vec multiplyAdd(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
#else
constexpr int kRows = 4;
using Vec = float __attribute__((vector_size(16)));
using Unaligned = float __attribute__((vector_size(16), aligned(4), may_alias));
inline Vec load(const float* source) { return *reinterpret_cast<const Unaligned*>(source); }
inline void store(float* target, Vec value) { *reinterpret_cast<Unaligned*>(target) = value; }
inline Vec broadcast(float value) { return Vec{value, value, value, value}; }
inline Vec multiplyAdd(Vec a, Vec b, Vec c) { return a * b + c; }
#endif
#include "winograd_simd.h"
#undef PEEKABOO_TARGET
}  // namespace portable

#if defined(__x86_64__) && defined(__GNUC__)
namespace avx2 {
#define PEEKABOO_TARGET __attribute__((target("avx2,fma")))
constexpr int kWidth = 8, kRows = 4;
constexpr const char* kName = kAvx2Name;
using Vec = __m256;
PEEKABOO_TARGET inline Vec load(const float* source) { return _mm256_loadu_ps(source); }
PEEKABOO_TARGET inline void store(float* target, Vec value) { _mm256_storeu_ps(target, value); }
PEEKABOO_TARGET inline Vec broadcast(float value) { return _mm256_set1_ps(value); }
PEEKABOO_TARGET inline Vec multiplyAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
#include "winograd_simd.h"
#undef PEEKABOO_TARGET
}  // namespace avx2

namespace avx512 {
#define PEEKABOO_TARGET __attribute__((target("avx512f")))
constexpr int kWidth = 16, kRows = 8;
constexpr const char* kName = kAvx512Name;
using Vec = __m512;
PEEKABOO_TARGET inline Vec load(const float* source) { return _mm512_loadu_ps(source); }
PEEKABOO_TARGET inline void store(float* target, Vec value) { _mm512_storeu_ps(target, value); }
PEEKABOO_TARGET inline Vec broadcast(float value) { return _mm512_set1_ps(value); }
PEEKABOO_TARGET inline Vec multiplyAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
#include "winograd_simd.h"
#undef PEEKABOO_TARGET
}  // namespace avx512
#endif

const Kernels* best() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (processor().avx512) return avx512::kKernels;
  if (processor().avx2) return avx2::kKernels;
#endif
  return portable::kKernels;
}

}  // namespace

const Kernels& kernelsFor(int64_t tile) {
  static const Kernels* const kernels = best();
  return kernels[tile == 2 ? 0 : 1];
}

}  // namespace winograd
}  // namespace peekaboo
