#include "augment.h"

#include <ATen/ATen.h>
#include <c10/core/MemoryFormat.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "parallel.h"

namespace peekaboo {
namespace {

// The arguments, checked, with everything optional filled in.
struct Batch {
  at::Tensor index, dy, dx, flip;  // int64 [B]
  int64_t size;
  int64_t channels, height, width;
  int64_t padding;
};

void checkRange(const at::Tensor& values, int64_t end, const char* name) {
  if (values.numel() == 0) return;
  const auto lowest = values.min().item<int64_t>(), highest = values.max().item<int64_t>();
  TORCH_CHECK(lowest >= 0 && highest < end, "augment: ", name, " must lie in 0 … ", end - 1, ", received ",
              lowest < 0 ? lowest : highest);
}

at::Tensor integers(const c10::optional<at::Tensor>& given, int64_t size, int64_t otherwise, const at::Tensor& index,
                    const char* name) {
  if (!given.has_value() || !given->defined()) {
    return at::full({size}, otherwise, index.options().dtype(at::kLong));
  }
  TORCH_CHECK(given->dim() == 1 && given->numel() == size && !given->is_floating_point() && !given->is_complex(),
              "augment: ", name, " must hold ", size, " integers, received ", given->scalar_type(), given->sizes());
  return given->to(index.device(), at::kLong).contiguous();
}

Batch checkedBatch(const at::Tensor& images, const at::Tensor& index, const c10::optional<at::Tensor>& dy,
                   const c10::optional<at::Tensor>& dx, const c10::optional<at::Tensor>& flip, int64_t padding,
                   at::ArrayRef<double> mean, at::ArrayRef<double> std) {
  TORCH_CHECK(images.dim() == 4 && images.scalar_type() == at::kByte,
              "augment: images must be uint8 [N, H, W, C], received ", images.scalar_type(), images.sizes());
  TORCH_CHECK(index.dim() == 1, "augment: index must be one-dimensional, received ", index.sizes());
  TORCH_CHECK(padding >= 0, "augment: padding must not be negative, received ", padding);
  const auto channels = static_cast<size_t>(images.size(3));
  TORCH_CHECK(mean.size() == channels && std.size() == channels, "augment: mean and std need one number for each of ",
              channels, " channels, received ", mean.size(), " and ", std.size());
  const int64_t size = index.numel();
  Batch batch{integers(index, size, 0, index, "index"),
              integers(dy, size, padding, index, "dy"),
              integers(dx, size, padding, index, "dx"),
              integers(flip, size, 0, index, "flip"),
              size,
              images.size(3),
              images.size(1),
              images.size(2),
              padding};
  checkRange(batch.index, images.size(0), "index");
  checkRange(batch.dy, 2 * padding + 1, "dy");
  checkRange(batch.dx, 2 * padding + 1, "dx");
  if (index.device() != images.device()) {
    // Checked where they were, so that nobody waits for the images' device; and moved at once.
    const at::Tensor moved = at::stack({batch.index, batch.dy, batch.dx, batch.flip}).to(images.device());
    batch.index = moved[0], batch.dy = moved[1], batch.dx = moved[2], batch.flip = moved[3];
  }
  return batch;
}

using Table = std::array<float, 256>;

// The normalised value of each byte, per channel.
std::vector<Table> normalisation(at::ArrayRef<double> mean, at::ArrayRef<double> std) {
  std::vector<Table> tables(mean.size());
  for (size_t channel = 0; channel < mean.size(); channel++) {
    for (size_t value = 0; value < tables[channel].size(); value++) {
      tables[channel][value] =
          (static_cast<float>(value) / 255.0f - static_cast<float>(mean[channel])) / static_cast<float>(std[channel]);
    }
  }
  return tables;
}

// Writes one image; element (channel, y, x) goes to output[channel * channelStride + (y * width + x) * pixelStride].
void augmentImage(const uint8_t* image, float* output, const Batch& batch, int64_t b, const std::vector<Table>& tables,
                  int64_t channelStride, int64_t pixelStride) {
  const int64_t top = batch.dy.data_ptr<int64_t>()[b] - batch.padding;
  const int64_t left = batch.dx.data_ptr<int64_t>()[b] - batch.padding;
  const bool mirrored = batch.flip.data_ptr<int64_t>()[b] != 0;
  for (int64_t y = 0; y < batch.height; y++) {
    const int64_t row = top + y;
    for (int64_t x = 0; x < batch.width; x++) {
      const int64_t column = left + (mirrored ? batch.width - 1 - x : x);
      const bool inside = row >= 0 && row < batch.height && column >= 0 && column < batch.width;
      const uint8_t* pixel = inside ? image + (row * batch.width + column) * batch.channels : nullptr;
      float* target = output + (y * batch.width + x) * pixelStride;
      for (int64_t channel = 0; channel < batch.channels; channel++) {
        target[channel * channelStride] = tables[channel][pixel ? pixel[channel] : 0];
      }
    }
  }
}

}  // namespace

at::Tensor augment(const at::Tensor& images, const at::Tensor& index, const c10::optional<at::Tensor>& dy,
                   const c10::optional<at::Tensor>& dx, const c10::optional<at::Tensor>& flip, int64_t padding,
                   at::ArrayRef<double> mean, at::ArrayRef<double> std, bool channelsLast) {
  if (!images.is_contiguous()) return augmentReference(images, index, dy, dx, flip, padding, mean, std, channelsLast);
  const Batch batch = checkedBatch(images, index, dy, dx, flip, padding, mean, std);
  const std::vector<Table> tables = normalisation(mean, std);
  at::Tensor output =
      at::empty({batch.size, batch.channels, batch.height, batch.width}, images.options().dtype(at::kFloat),
                channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const int64_t pixels = batch.height * batch.width, elements = pixels * batch.channels;
  const auto* source = images.data_ptr<uint8_t>();
  auto* target = output.data_ptr<float>();
  at::parallel_for(0, batch.size, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, elements)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t b = begin; b < end; b++) {
                       augmentImage(source + batch.index.data_ptr<int64_t>()[b] * elements, target + b * elements,
                                    batch, b, tables, channelsLast ? 1 : pixels, channelsLast ? batch.channels : 1);
                     }
                   });
  return output;
}

at::Tensor augmentReference(const at::Tensor& images, const at::Tensor& index, const c10::optional<at::Tensor>& dy,
                            const c10::optional<at::Tensor>& dx, const c10::optional<at::Tensor>& flip, int64_t padding,
                            at::ArrayRef<double> mean, at::ArrayRef<double> std, bool channelsLast) {
  const Batch batch = checkedBatch(images, index, dy, dx, flip, padding, mean, std);
  const auto options = images.options().dtype(at::kLong);
  const at::Tensor padded =
      at::constant_pad_nd(images.index_select(0, batch.index), {0, 0, padding, padding, padding, padding});
  const at::Tensor x = at::arange(batch.width, options).unsqueeze(0);
  const at::Tensor mirrored = at::where(batch.flip.unsqueeze(1) != 0, batch.width - 1 - x, x);
  const at::Tensor rows = batch.dy.unsqueeze(1) + at::arange(batch.height, options);
  const at::Tensor columns = batch.dx.unsqueeze(1) + mirrored;
  const at::Tensor picked =
      at::index(padded, {at::arange(batch.size, options).reshape({-1, 1, 1}), rows.unsqueeze(2), columns.unsqueeze(1)});
  const at::Tensor normalised = picked.to(at::kFloat).div_(255.0);
  for (int64_t channel = 0; channel < batch.channels; channel++) {
    normalised.select(3, channel).sub_(mean[channel]).div_(std[channel]);
  }
  return normalised.permute({0, 3, 1, 2})
      .contiguous(channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

}  // namespace peekaboo
