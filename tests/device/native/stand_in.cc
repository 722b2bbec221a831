// A GPU's stand-in: registers with a libtorch without CUDA as its CUDA devices. Their memory has addresses that nobody
// can read or write, so that whoever takes one for the CPU's ends the process; operators run on the CPU, on the real
// memory behind it, and refuse arguments that CUDA would refuse.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>
#include <torch/version.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace stand_in {
namespace {

constexpr c10::DeviceIndex kDevices = 2;
constexpr size_t kPage = 4096;
constexpr size_t kAddresses = size_t{1} << 43;  // 8 TiB, each given once: what is freed stays out of reach

thread_local c10::DeviceIndex current = 0;
std::atomic<int64_t> live_bytes{0};
const char* const asked = std::getenv("STAND_IN_BYTES");
const int64_t limit = asked == nullptr ? -1 : std::atoll(asked);

// ---- Memory ---------------------------------------------------------------------------------------------------------

struct Block {
  char* real;
  size_t bytes;
  c10::Device device;
};

// Counts bytes taken or given back, and tells libtorch's profiler as CUDA's allocator does.
void report(void* memory, int64_t bytes, c10::Device device) {
  const int64_t now = live_bytes += bytes;
  if (c10::memoryProfilingEnabled()) c10::reportMemoryUsageToProfiler(memory, bytes, now, now, device);
}

char* out_of_reach(size_t bytes) {
  static char* const base =
      static_cast<char*>(mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  static std::atomic<size_t> used{0};
  TORCH_CHECK(base != MAP_FAILED, "stand-in: no address space");
  const size_t begin = used.fetch_add((bytes + 2 * kPage - 1) / kPage * kPage);
  TORCH_CHECK(begin + bytes < kAddresses, "stand-in: its addresses are used up");
  return base + begin;
}

void release(void* context) {
  auto* block = static_cast<Block*>(context);
  report(block->real, -static_cast<int64_t>(block->bytes), block->device);
  std::free(block->real);
  delete block;
}

struct Memory final : c10::Allocator {
  c10::DataPtr take(size_t bytes) const {
    const c10::Device device(c10::kCUDA, current);
    if (bytes == 0) return {nullptr, nullptr, [](void*) {}, device};
    const auto size = static_cast<int64_t>(bytes);
    TORCH_CHECK_WITH(OutOfMemoryError, limit < 0 || live_bytes + size <= limit,
                     "CUDA out of memory. Tried to allocate ", size >> 20, ".00 MiB (stand-in)");
    auto* block = new Block{static_cast<char*>(std::malloc(bytes)), bytes, device};
    report(block->real, size, device);
    // What is read before it was written should be seen.
    std::memset(block->real, 0xff, bytes);
    return {out_of_reach(bytes), block, release, device};
  }
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(size_t bytes) override { return take(bytes); }
  void copy_data(void*, const void*, size_t) const override { TORCH_CHECK(false, "stand-in: copy_data"); }
#else
  c10::DataPtr allocate(size_t bytes) const override { return take(bytes); }
#endif
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
};

Memory& memory() {
  static auto& one = *new Memory;
  return one;
}

// ---- The device -----------------------------------------------------------------------------------------------------

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device device) const override {
    const c10::Device before = getDevice();
    setDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return {c10::kCUDA, current}; }
  void setDevice(c10::Device device) const override {
    TORCH_CHECK(device.index() >= -1 && device.index() < kDevices, "CUDA error: invalid device ordinal");
    uncheckedSetDevice(device);
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    if (device.has_index()) current = device.index();
  }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream getDefaultStream(c10::Device device) const override { return c10::Stream(c10::Stream::DEFAULT, device); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return stream; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return kDevices; }
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);

}  // namespace

// The hooks are found by the name of their class. Some of them changed theirs from one libtorch to another.
struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void initCUDA() const {}
  void init() const {}
  bool hasCUDA() const final { return true; }
  int getNumGPUs() const final { return kDevices; }
  bool hasPrimaryContext(int64_t) const { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const { return true; }
  c10::Allocator* getCUDADeviceAllocator() const { return &memory(); }
  std::string showConfig() const { return "stand-in"; }
  const at::Generator& getDefaultCUDAGenerator(c10::DeviceIndex index = -1) const { return generator(index); }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex index = -1) const { return generator(index); }

 private:
  static const at::Generator& generator(c10::DeviceIndex index) {
    static const at::Generator all[kDevices]{at::detail::createCPUGenerator(), at::detail::createCPUGenerator()};
    return all[index < 0 ? current : index];
  }
};

}  // namespace stand_in

namespace at {
using stand_in::CUDAHooks;
REGISTER_CUDA_HOOKS(CUDAHooks);
}  // namespace at

namespace stand_in {
namespace {

const c10::DispatchKeySet kKeys(c10::DispatchKey::CUDA);

struct OnDevice {
  explicit OnDevice(c10::optional<c10::Device> device) : before(current) {
    if (device.has_value()) Guard().setDevice(*device);
  }
  ~OnDevice() { current = before; }
  const c10::DeviceIndex before;
};

at::Tensor empty(at::IntArrayRef size, c10::optional<at::ScalarType> dtype, c10::optional<at::Layout>,
                 c10::optional<c10::Device> device, c10::optional<bool>, c10::optional<at::MemoryFormat> format) {
  const OnDevice on(device);
  return at::detail::empty_generic(size, &memory(), kKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, c10::optional<at::ScalarType> dtype,
                         c10::optional<at::Layout>, c10::optional<c10::Device> device, c10::optional<bool>) {
  const OnDevice on(device);
  return at::detail::empty_strided_generic(size, stride, &memory(), kKeys, c10::dtype_or_default(dtype));
}

// The same elements as a tensor of the CPU.
at::Tensor on_cpu(const at::Tensor& tensor) {
  if (!tensor.is_cuda()) return tensor;
  const auto options = at::TensorOptions().dtype(tensor.scalar_type());
  auto* block = static_cast<Block*>(tensor.storage().data_ptr().get_context());
  if (block == nullptr) return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  const int64_t offset = tensor.storage_offset() * static_cast<int64_t>(tensor.element_size());
  return at::from_blob(
      block->real + offset, tensor.sizes(), tensor.strides(), [](void*) {}, options);
}

at::Tensor on_device(const at::Tensor& tensor, c10::Device device) {
  if (!tensor.defined()) return tensor;
  const at::Tensor made =
      empty_strided(tensor.sizes(), tensor.strides(), tensor.scalar_type(), c10::nullopt, device, c10::nullopt);
  on_cpu(made).copy_(tensor);
  return made;
}

// Gives `tensor` the extents of `like`, and memory where it has too little.
void take_shape(const at::Tensor& tensor, at::IntArrayRef size, at::IntArrayRef stride) {
  const OnDevice on(tensor.device());
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  const size_t need = at::detail::computeStorageNbytes(size, stride, tensor.element_size(), tensor.storage_offset());
  if (need > storage->nbytes()) {
    c10::DataPtr larger = memory().take(need);
    auto* from = static_cast<Block*>(storage->data_ptr().get_context());
    if (from != nullptr) std::memcpy(static_cast<Block*>(larger.get_context())->real, from->real, from->bytes);
    storage->set_data_ptr_noswap(std::move(larger));
    storage->set_nbytes(need);
  }
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride);
}

const at::Tensor& resize_(const at::Tensor& self, at::IntArrayRef size, c10::optional<at::MemoryFormat> format) {
  const at::Tensor shape = at::empty(size, at::TensorOptions().dtype(self.scalar_type()), format);
  take_shape(self, shape.sizes(), shape.strides());
  return self;
}

at::Tensor& copy_(at::Tensor& self, const at::Tensor& source, bool) {
  on_cpu(self).copy_(on_cpu(source));
  return self;
}

// One call's tensors on their way to the CPU and back.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : name_(op.schema().operator_name().name) {}

  void find_device(const c10::IValue& value) {
    each(value, [&](const at::Tensor& tensor) {
      if (!tensor.is_cuda()) return;
      TORCH_CHECK(!device_.has_value() || *device_ == tensor.device(), name_,
                  ": Expected all tensors to be on the same device, but found at least two devices, ", *device_,
                  " and ", tensor.device());
      device_ = tensor.device();
    });
  }

  c10::IValue to_cpu(const c10::IValue& value) {
    if (value.isTensor()) return on_its_way(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(on_its_way(tensor));
      return list;
    }
    if (value.isList() && value.toListRef().size() > 0 && holds_tensors(value)) {
      c10::List<c10::optional<at::Tensor>> list;
      for (const c10::IValue& item : value.toListRef()) {
        list.push_back(item.isTensor() ? c10::optional<at::Tensor>(on_its_way(item.toTensor())) : c10::nullopt);
      }
      return list;
    }
    return value;
  }

  c10::IValue back(const c10::IValue& value) const {
    if (value.isTensor()) return back(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(back(tensor));
    return list;
  }

  // Results that the CPU's operator has made longer.
  void settle() const {
    for (const auto& [own, lent] : lent_) {
      if (own.sizes() == lent.sizes()) continue;
      take_shape(own, lent.sizes(), lent.strides());
      on_cpu(own).copy_(lent);
    }
  }

 private:
  static bool holds_tensors(const c10::IValue& value) {
    for (const c10::IValue& item : value.toListRef()) {
      if (!item.isTensor() && !item.isNone()) return false;
    }
    return true;
  }

  template <class Visit>
  static void each(const c10::IValue& value, const Visit& visit) {
    if (value.isTensor() && value.toTensor().defined()) visit(value.toTensor());
    if (!value.isList()) return;
    for (const c10::IValue& item : value.toListRef()) {
      if (item.isTensor() && item.toTensor().defined()) visit(item.toTensor());
    }
  }

  at::Tensor on_its_way(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (!tensor.is_cuda()) {
      // CUDA takes a single number from the CPU, and indices.
      TORCH_CHECK(tensor.dim() == 0 || name_.rfind("aten::index", 0) == 0, name_,
                  ": Expected all tensors to be on the same device, but found at least two devices, ", *device_,
                  " and cpu");
      return tensor;
    }
    for (const auto& [own, lent] : lent_) {
      if (own.is_same(tensor)) return lent;
    }
    lent_.emplace_back(tensor, on_cpu(tensor));
    return lent_.back().second;
  }

  at::Tensor back(const at::Tensor& tensor) const {
    for (const auto& [own, lent] : lent_) {
      if (lent.is_same(tensor)) return own;
    }
    return on_device(tensor, *device_);
  }

  const std::string name_;
  c10::optional<c10::Device> device_;
  std::vector<std::pair<at::Tensor, at::Tensor>> lent_;
};

// Every other operator.
void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  for (const c10::Argument& one : op.schema().returns()) {
    TORCH_CHECK(one.alias_info() == nullptr || one.alias_info()->isWrite(), "stand-in: no view ",
                op.schema().operator_name());
  }
  Call call(op);
  const size_t first = stack->size() - op.schema().arguments().size();
  for (size_t i = first; i < stack->size(); i++) call.find_device((*stack)[i]);
  for (size_t i = first; i < stack->size(); i++) (*stack)[i] = call.to_cpu((*stack)[i]);
  op.callBoxed(stack);
  call.settle();
  for (size_t i = first; i < stack->size(); i++) (*stack)[i] = call.back((*stack)[i]);
}

}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("resize_", resize_);
  m.impl("copy_", copy_);
  // These would choose among cuDNN's and their likes first, and end in slower loops than the CPU's own.
  for (const char* name : {"convolution", "convolution_backward"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
  }
}

}  // namespace stand_in
