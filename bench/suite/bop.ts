// Bop's step on the weights of a ResNet-18: ours, and the same of libtorch's operators.
import { ops, scope } from "@peekaboo/torch";
import { pabOps } from "#peekaboo/native/library";
import { alternating, seconds, spreadOf } from "../statistics.js";
import type { Bench, Row } from "./bench.js";
import { BOP_BYTES } from "./counts.js";

const WEIGHTS = 11_164_352;

export const bop: Bench = {
  name: "bop",
  about: "Bop's step on the 11 million weights of a ResNet-18, in GB/s",
  async run({ repetitions, quick, peaks }) {
    const count = quick ? 1 << 16 : WEIGHTS;
    const { bytes } = await peaks();
    const { bopStep_, bopStepReference_ } = pabOps();
    const [weight, momentum, gradient] = [ops.randn([count]), ops.randn([count]), ops.randn([count])];
    const flips = ops.zeros([count], { dtype: "int32" });
    const time = (step: typeof bopStep_) => () =>
      seconds(() => scope(() => void step(weight, momentum, gradient, flips, { ar: 1e-3, tau: 1e-6, first: false })));
    const ways = new Map([
      ["ours", time(bopStep_)],
      ["libtorch's operators", time(bopStepReference_)],
    ]);
    const rows = [...(await alternating(ways, 3 * repetitions))].map(([name, times]): Row => {
      const gigabytes = spreadOf(times.map((value) => (1e-9 * BOP_BYTES * count) / value));
      return {
        step: name,
        ms: spreadOf(times.map((value) => 1000 * value)),
        "GB/s": gigabytes,
        "% of the bandwidth": (1e11 * gigabytes.median) / bytes,
      };
    });
    for (const tensor of [weight, momentum, gradient, flips]) tensor.dispose();
    const notes = [
      `${BOP_BYTES} bytes a weight: weight, average and count of flips read and written, the gradient read.`,
    ];
    return { tables: [{ title: `Bop, ${count} weights`, notes, rows }] };
  },
};
