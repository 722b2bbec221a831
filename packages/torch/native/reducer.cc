#ifdef TORCHJS_C10D

#include "reducer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/variable.h>

#include <cstddef>

#include "denormals.h"
#include "errors.h"

namespace torchjs {
namespace {

using torch::autograd::variable_list;

struct Hook : torch::autograd::FunctionPostHook {
  explicit Hook(std::function<void()> body) : run(std::move(body)) {}
  variable_list operator()(const variable_list& outputs, const variable_list&) override {
    run();
    return outputs;
  }
  std::function<void()> run;
};

}  // namespace

GradientReducer::GradientReducer(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters, int64_t bucketBytes)
    : group_(std::move(group)), parameters_(std::move(parameters)), places_(parameters_.size()) {
  makeBuckets(bucketBytes);
}

void GradientReducer::makeBuckets(int64_t bucketBytes) {
  std::vector<int64_t> sizes;
  const auto fits = [&](const at::Tensor& parameter) {
    if (buckets_.empty()) return false;
    const at::Tensor& other = parameters_[buckets_.back().slots.front().parameter];
    return other.scalar_type() == parameter.scalar_type() && other.device() == parameter.device() &&
           (sizes.back() + parameter.numel()) * static_cast<int64_t>(parameter.element_size()) <= bucketBytes;
  };
  for (size_t i = parameters_.size(); i-- > 0;) {
    const at::Tensor& parameter = parameters_[i];
    if (!fits(parameter)) {
      buckets_.emplace_back();
      sizes.push_back(0);
    }
    places_[i] = {buckets_.size() - 1, buckets_.back().slots.size()};
    buckets_.back().slots.push_back({i, sizes.back(), false});
    sizes.back() += parameter.numel();
  }
  for (size_t i = 0; i < buckets_.size(); i++) {
    Bucket& bucket = buckets_[i];
    const at::Tensor& first = parameters_[bucket.slots.front().parameter];
    bucket.flat = at::empty({sizes[i] + static_cast<int64_t>(bucket.slots.size())}, first.detach().options());
  }
}

void GradientReducer::attach() {
  for (size_t i = 0; i < parameters_.size(); i++) {
    auto accumulator = torch::autograd::impl::grad_accumulator(parameters_[i]);
    TORCH_CHECK(accumulator != nullptr, "a parameter does not require a gradient");
    // Not to be kept alive by its own hooks.
    auto hook = std::make_unique<Hook>([self = weak_from_this(), i] {
      if (const auto reducer = self.lock()) reducer->onGradient(i);
    });
    const uintptr_t key = accumulator->add_post_hook(std::move(hook));
    hooks_.emplace_back(std::move(accumulator), key);
  }
}

void GradientReducer::dispose() {
  for (const auto& [accumulator, key] : hooks_) accumulator->del_post_hook(key);
  hooks_.clear();
}

void GradientReducer::prepare() {
  std::lock_guard<std::mutex> lock(mutex_);
  TORCH_CHECK(!prepared_ || nextBucket_ == 0, "the buckets of the last backward are under way: call finish() first");
  for (Bucket& bucket : buckets_) {
    bucket.missing = bucket.slots.size();
    for (Slot& slot : bucket.slots) slot.filled = false;
  }
  prepared_ = true;
  repeated_ = false;
  hookError_ = nullptr;
  nextBucket_ = 0;
}

void GradientReducer::onGradient(size_t parameter) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!prepared_ || hookError_ != nullptr) return;
  Bucket& bucket = buckets_[places_[parameter].first];
  // A throw from here would leave backward half done, and the other ranks waiting for this one's buckets.
  try {
    if (bucket.work.defined()) {
      repeated_ = true;
      return;
    }
    fill(bucket, bucket.slots[places_[parameter].second]);
    startFull();
  } catch (...) {
    hookError_ = std::current_exception();
  }
}

at::Tensor GradientReducer::slice(const Bucket& bucket, const Slot& slot) const {
  const at::Tensor& parameter = parameters_[slot.parameter];
  return bucket.flat.narrow(0, slot.offset, parameter.numel()).view(parameter.sizes());
}

void GradientReducer::fill(Bucket& bucket, Slot& slot) {
  const at::NoGradGuard noGrad;
  const at::Tensor& gradient = parameters_[slot.parameter].grad();
  const int64_t slots = static_cast<int64_t>(bucket.slots.size());
  const int64_t flag = bucket.flat.numel() - slots + (&slot - bucket.slots.data());
  const bool has = gradient.defined();
  // Divided before it is summed: the sum of many ranks' float16 would overflow.
  if (has) {
    at::Tensor target = slice(bucket, slot);
    at::mul_out(target, gradient, at::scalar_tensor(1.0 / group_->size, gradient.options().device(at::kCPU)));
  } else {
    slice(bucket, slot).zero_();
  }
  bucket.flat.narrow(0, flag, 1).fill_(has ? 1 : 0);
  if (!slot.filled) bucket.missing--;
  slot.filled = true;
}

// Every rank starts its buckets in the same order, whatever order they are filled in.
void GradientReducer::startFull() {
  for (; nextBucket_ < buckets_.size() && buckets_[nextBucket_].missing == 0; nextBucket_++) {
    Bucket& bucket = buckets_[nextBucket_];
    bucket.work = group_->allReduce(bucket.flat, c10d::ReduceOp::SUM);
  }
}

void GradientReducer::finish() {
  const FlushDenormals flush;
  std::lock_guard<std::mutex> lock(mutex_);
  TORCH_CHECK(prepared_, "call prepare() before backward, then finish()");
  prepared_ = false;
  startedEarly_ = nextBucket_;
  std::exception_ptr error = hookError_;
  try {
    if (error == nullptr) {
      for (Bucket& bucket : buckets_) {
        for (Slot& slot : bucket.slots) {
          if (!slot.filled) fill(bucket, slot);
        }
      }
      startFull();
      for (Bucket& bucket : buckets_) group_->wait(bucket.work);
    }
  } catch (...) {
    error = std::current_exception();
  }
  if (error == nullptr && !repeated_) {
    for (Bucket& bucket : buckets_) writeBack(bucket);
  }
  for (Bucket& bucket : buckets_) bucket.work.reset();
  if (error != nullptr) std::rethrow_exception(error);
  TORCH_CHECK(!repeated_,
              "backward ran again after its buckets were sent: prepare() is for the last backward of a step");
}

void GradientReducer::writeBack(Bucket& bucket) {
  const at::NoGradGuard noGrad;
  const int64_t slots = static_cast<int64_t>(bucket.slots.size());
  const at::Tensor flags = bucket.flat.narrow(0, bucket.flat.numel() - slots, slots).to(at::kCPU, at::kFloat);
  const float* used = flags.data_ptr<float>();
  for (size_t i = 0; i < bucket.slots.size(); i++) {
    if (used[i] == 0) continue;
    const at::Tensor& parameter = parameters_[bucket.slots[i].parameter];
    const at::Tensor average = slice(bucket, bucket.slots[i]);
    if (parameter.grad().defined()) {
      parameter.mutable_grad().copy_(average);
    } else {
      parameter.mutable_grad() = average.clone();
    }
  }
}

std::vector<std::vector<size_t>> GradientReducer::buckets() const {
  std::vector<std::vector<size_t>> all;
  for (const Bucket& bucket : buckets_) {
    all.emplace_back();
    for (const Slot& slot : bucket.slots) all.back().push_back(slot.parameter);
  }
  return all;
}

}  // namespace torchjs

#endif  // TORCHJS_C10D
