#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>
#include <c10/util/Optional.h>

#include <cstdint>

namespace peekaboo {

// A batch from a resident data set in one pass: image `index[b]` of `images` (uint8 [N, H, W, C]), zero-padded by
// `padding`, cropped to [H, W] at (`dy[b]`, `dx[b]`), mirrored where `flip[b]` is not 0, then (v / 255 - mean) / std
// per channel as torchvision computes it. Float32 [B, C, H, W], channels-last in memory if asked. `index`, `dy`, `dx`
// and `flip` are integers [B]; without `dy` and `dx` (both or neither) the crop is the image itself, without `flip`
// nothing is mirrored. Every index is checked, on the device where `index`
// lies: from the CPU, all four reach that of `images` in one copy, without waiting for it.
at::Tensor augment(const at::Tensor& images, const at::Tensor& index, const c10::optional<at::Tensor>& dy,
                   const c10::optional<at::Tensor>& dx, const c10::optional<at::Tensor>& flip, int64_t padding,
                   at::ArrayRef<double> mean, at::ArrayRef<double> std, bool channelsLast);

// The same composed of ATen operations: any device.
at::Tensor augmentReference(const at::Tensor& images, const at::Tensor& index, const c10::optional<at::Tensor>& dy,
                            const c10::optional<at::Tensor>& dx, const c10::optional<at::Tensor>& flip, int64_t padding,
                            at::ArrayRef<double> mean, at::ArrayRef<double> std, bool channelsLast);

}  // namespace peekaboo
