// Denormal numbers: Intel's processors compute with them some sixty times more slowly than with others. Whatever
// computes takes and gives zeros in their place.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace torchjs {

// As long as one lives, its thread flushes denormals to zero, and so do those that it starts, for good: a thread begins
// with the settings of the one that made it. So OpenMP's and autograd's threads, which begin within an operator, need
// nothing more. JavaScript must not run meanwhile: its numbers are to be what the language says.
class FlushDenormals {
 public:
  FlushDenormals() : before_(settings()) {
    if ((before_ & kFlush) != kFlush) set(before_ | kFlush);
  }
  ~FlushDenormals() {
    if ((before_ & kFlush) != kFlush) set(before_);
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  using Settings = unsigned int;
  static constexpr Settings kFlush = 0x8040;  // MXCSR: flush to zero (results), denormals are zero (operands)
  static Settings settings() { return _mm_getcsr(); }
  static void set(Settings value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  using Settings = uint64_t;
  static constexpr Settings kFlush = (uint64_t{1} << 24) | (uint64_t{1} << 19);  // FPCR: FZ, and FZ16 for float16
  static Settings settings() {
    Settings value;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set(Settings value) { __asm__ __volatile__("msr fpcr, %0" : : "r"(value)); }
#else
  using Settings = unsigned int;
  static constexpr Settings kFlush = 0;
  static Settings settings() { return 0; }
  static void set(Settings) {}
#endif

  const Settings before_;
};

}  // namespace torchjs
