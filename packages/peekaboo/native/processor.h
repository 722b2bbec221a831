#pragma once

namespace peekaboo {

// The instructions that our kernels may use: those of this processor, unless libtorch's own variable takes it for a
// lesser one. ATEN_CPU_CAPABILITY=avx2 leaves out all of 512 bits, ATEN_CPU_CAPABILITY=default these all.
struct Processor {
  bool avx2;     // with FMA
  bool avxVnni;  // of 256 bits
  bool avx512;   // F, BW, DQ and VL, as libtorch's kernels need them
  bool avx512Vnni;
};

// This processor, as it was taken for when this was first asked.
const Processor& processor();

// How kernels for it are called where they are told.
constexpr const char* kPortable = "portable";
constexpr const char* kAvx2Name = "avx2";
constexpr const char* kAvx512Name = "avx512";

}  // namespace peekaboo
