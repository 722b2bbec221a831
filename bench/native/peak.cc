// The most multiply-adds a second that the processor does in float32, as GFLOP/s (two operations each): independent
// chains of vectors that stay in registers. peak THREADS BURSTS MILLISECONDS prints a line a burst.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
using Vector = float __attribute__((vector_size(kBytes)));

// As many as hide an instruction's latency, and as fit in sixteen registers.
constexpr int kChains = 10;
constexpr long kRounds = 100000;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Apart from all else, so that nothing takes the registers away.
__attribute__((noinline)) float run(float start) {
  const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  // Different, so that none is another's.
  Vector a = Vector{} + start, b = a + 1, c = a + 2, d = a + 3, e = a + 4;
  Vector f = a + 5, g = a + 6, h = a + 7, i = a + 8, j = a + 9;
  for (long round = 0; round < kRounds; round++) {
    a = a * factor + term;
    b = b * factor + term;
    c = c * factor + term;
    d = d * factor + term;
    e = e * factor + term;
    f = f * factor + term;
    g = g * factor + term;
    h = h * factor + term;
    i = i * factor + term;
    j = j * factor + term;
  }
  return (a + b + c + d + e + f + g + h + i + j)[0];
}

// Runs about so long; how many multiply-adds a second that were.
double burst(double seconds, float& value) {
  const double begun = now();
  double runs = 0.0, taken;
  do {
    value = run(value);
    runs++;
    taken = now() - begun;
  } while (taken < seconds);
  return runs * kRounds * kChains * (kBytes / sizeof(float)) / taken;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const int threads = std::atoi(arguments[1]), bursts = std::atoi(arguments[2]);
  const double seconds = 0.001 * std::atoi(arguments[3]);
  for (int i = 0; i < bursts; i++) {
    std::vector<double> rates(threads);
    std::vector<float> values(threads);
    std::vector<std::thread> all;
    for (int t = 0; t < threads; t++) all.emplace_back([&, t] { rates[t] = burst(seconds, values[t]); });
    double sum = 0.0;
    for (int t = 0; t < threads; t++) all[t].join(), sum += rates[t];
    std::printf("%.3f\n", 2e-9 * sum);
  }
}
