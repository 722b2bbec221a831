// Counts what makes the CPU wait for a device, what is copied to and from it, and the memory that its allocator tells
// of: on any device other than the CPU, by what libtorch's profiler hears.

#include <ATen/core/TensorBody.h>
#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/library.h>
#include <torch/version.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

namespace watch {
namespace {

std::atomic<bool> watching{false};
std::atomic<int64_t> waits{0}, copies{0}, copied_bytes{0}, allocated{-1};

bool elsewhere(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() && !value.toTensor().device().is_cpu();
}

// Operators whose result, or its size, the CPU has to know before it goes on.
bool is_wait(const char* name) {
  for (const char* one : {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::masked_select",
                          "aten::_unique2", "aten::repeat_interleave"}) {
    if (std::strcmp(name, one) == 0) return true;
  }
  return false;
}

std::unique_ptr<at::ObserverContext> see(const at::RecordFunction& call) {
  if (!watching || call.inputs().empty()) return nullptr;
  const bool from_device = elsewhere(call.inputs()[0]);
  if (is_wait(call.name()) && from_device) waits++;
  if (std::strcmp(call.name(), "aten::copy_") == 0) {
    const c10::IValue& source = call.inputs()[1];
    if (!from_device && elsewhere(source)) waits++;
    if (from_device && source.isTensor() && !elsewhere(source)) {
      copies++;
      copied_bytes += static_cast<int64_t>(source.toTensor().numel() * source.toTensor().element_size());
    }
  }
  return nullptr;
}

struct Reports final : c10::MemoryReportingInfoBase {
#if TORCH_VERSION_MAJOR >= 2
  void reportMemoryUsage(void*, int64_t, size_t total, size_t, c10::Device device) override { hear(total, device); }
#else
  void reportMemoryUsage(void*, int64_t, int64_t total, int64_t, c10::Device device) override { hear(total, device); }
#endif
  void hear(int64_t total, c10::Device device) {
    if (!device.is_cpu()) allocated = total;
  }
  bool memoryProfilingEnabled() const override { return true; }
};

// Each call begins anew. The calling thread's work is watched, and what it has autograd's threads do.
void start() {
  static const auto callback =
      at::addGlobalCallback(at::RecordFunctionCallback(see).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  static auto& reports = *new c10::DebugInfoGuard(c10::DebugInfoKind::PROFILER_STATE, std::make_shared<Reports>());
  (void)callback, (void)reports;
  waits = copies = copied_bytes = 0;
  watching = true;
}

}  // namespace

TORCH_LIBRARY(watch, m) {
  m.def("start() -> ()", start);
  m.def("waits() -> int", [] { return waits.load(); });
  m.def("copies() -> int", [] { return copies.load(); });
  m.def("copied_bytes() -> int", [] { return copied_bytes.load(); });
  m.def("allocated() -> int", [] { return allocated.load(); });
}

}  // namespace watch
