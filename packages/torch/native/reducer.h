// Data-parallel gradients: averaged over the ranks in buckets, each on its way as soon as backward has filled it.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "process_group.h"

namespace torchjs {

class GradientReducer : public std::enable_shared_from_this<GradientReducer> {
 public:
  // Buckets hold `bucketBytes` at most (a larger parameter has one of its own), in reverse order of `parameters`, which
  // is about the order in which backward reaches them.
  GradientReducer(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters, int64_t bucketBytes);

  // Hooks the parameters' gradients; dispose() takes the hooks away.
  void attach();
  void dispose();

  // From here on, a gradient that backward has accumulated goes into its bucket.
  void prepare();

  // Sends the buckets that are not under way yet, with zeros for gradients that did not come; waits; writes the
  // averages into the gradients. A parameter that no rank used keeps none. Throws DistributedFailure.
  void finish();

  // Buckets of parameters' places, and how many of them were under way when the last finish() was called.
  std::vector<std::vector<size_t>> buckets() const;
  size_t startedEarly() const { return startedEarly_; }

 private:
  struct Slot {
    size_t parameter;
    int64_t offset;
    bool filled;
  };
  struct Bucket {
    std::vector<Slot> slots;
    // The gradients one after the other, then for each of them whether a rank has it.
    at::Tensor flat;
    size_t missing;
    WorkPointer work;
  };

  void makeBuckets(int64_t bucketBytes);
  void onGradient(size_t parameter);
  void fill(Bucket& bucket, Slot& slot);
  void startFull();
  void writeBack(Bucket& bucket);
  at::Tensor slice(const Bucket& bucket, const Slot& slot) const;

  const std::shared_ptr<Group> group_;
  const std::vector<at::Tensor> parameters_;
  std::vector<Bucket> buckets_;
  // By parameter: its bucket, and its slot there.
  std::vector<std::pair<size_t, size_t>> places_;
  // Which pointer it is differs from one libtorch to another.
  using Accumulator = decltype(torch::autograd::impl::grad_accumulator(std::declval<const at::Tensor&>()));
  // Kept, for a parameter itself holds its accumulator weakly.
  std::vector<std::pair<Accumulator, uintptr_t>> hooks_;

  // Backward may call hooks on threads of its own.
  std::mutex mutex_;
  bool prepared_ = false;
  bool repeated_ = false;
  size_t nextBucket_ = 0;
  size_t startedEarly_ = 0;
  std::exception_ptr hookError_;
};

}  // namespace torchjs
