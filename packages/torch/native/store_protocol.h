// What a store and its clients say to each other.
//
// First the client: kMagic and the job's token, kTokenBytes of text. The store answers with kMagic and kWelcome or
// kOtherToken; to anything else it says nothing and hangs up. After that each request is a frame of an operation, a key
// (its length, its bytes) and a value, and each answer a frame of a status and a value. A frame is preceded by its
// length; lengths are of four bytes, the lowest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace torchjs {

constexpr std::string_view kMagic = "peekaboo store 1";
constexpr size_t kTokenBytes = 64;
constexpr char kWelcome = 'W';
constexpr char kOtherToken = 'T';

constexpr char kSet = 'S';
constexpr char kGet = 'G';
constexpr char kAdd = 'A';
constexpr char kDelete = 'D';
constexpr char kCheck = 'C';
constexpr char kCount = 'N';

constexpr char kYes = 'Y';
constexpr char kNo = 'N';
// With a sentence why.
constexpr char kRefused = 'E';

constexpr size_t kLengthBytes = 4;
// What a thousand ranks tell each other of their addresses takes a tenth of it.
constexpr size_t kMostFrameBytes = 4 << 20;

inline std::string lengthBytes(size_t length) {
  std::string bytes;
  for (size_t i = 0; i < kLengthBytes; i++) bytes += static_cast<char>(length >> (8 * i));
  return bytes;
}

inline size_t lengthFrom(std::string_view bytes) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; i++) length |= static_cast<size_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return length;
}

}  // namespace torchjs
