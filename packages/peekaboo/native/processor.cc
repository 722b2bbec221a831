#include "processor.h"

#include <cstdlib>
#include <string_view>

namespace peekaboo {
namespace {

Processor limitedProcessor() {
  Processor result{};
#if defined(__x86_64__) && defined(__GNUC__)
  const char* variable = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string_view limit = variable ? variable : "";
  result.avx2 = limit != "default" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#if __GNUC__ >= 11
  result.avxVnni = result.avx2 && __builtin_cpu_supports("avxvnni");
#endif
  result.avx512 = result.avx2 && limit != "avx2" && __builtin_cpu_supports("avx512f") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  result.avx512Vnni = result.avx512 && __builtin_cpu_supports("avx512vnni");
#endif
  return result;
}

}  // namespace

const Processor& processor() {
  static const Processor result = limitedProcessor();
  return result;
}

}  // namespace peekaboo
