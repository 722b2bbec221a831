// One image through a CIFAR ResNet-18 with a random mask, in @peekaboo/runtime: no libtorch, one thread.
// node bench/dist/runtime-engine.js [WIDTH=0.25] [DENSITY=0.3] [REPETITIONS=200] [simd|scalar]
import { createEngine } from "@peekaboo/runtime";
import { type Graph, type GraphNode, type GraphTensor, openUniform01, RandomStream } from "@peekaboo/seed";
import { machine, spread } from "./statistics.js";

const [width = "0.25", density = "0.3", repetitions = "200", kind = "simd"] = process.argv.slice(2);

/** Builds the network node by node; a method returns the value that it makes. */
class ResNet18 {
  readonly nodes: GraphNode[] = [];
  readonly tensors = new Map<string, GraphTensor>();

  #tensor(shape: readonly number[], kept: number): string {
    const name = `t${this.tensors.size}`;
    const size = shape.reduce((product, side) => product * side, 1);
    const stream = new RandomStream(0, name);
    const scale = Math.sqrt(6 / (kept * (size / (shape[0] ?? 1))));
    const data = Float32Array.from({ length: size }, (_, index) => {
      const uniform = (which: number) =>
        openUniform01(stream.uint32(4 * index + which), stream.uint32(4 * index + which + 1));
      return uniform(0) < kept ? scale * (2 * uniform(2) - 1) : 0;
    });
    this.tensors.set(name, { shape, data });
    return name;
  }

  #node(node: GraphNode): number {
    return this.nodes.push(node);
  }

  /** Convolution and BatchNorm. */
  #convolution(input: number, [into, out]: readonly [number, number], kernel: number, stride: number): number {
    const padding = kernel >> 1;
    const convolved = this.#node({
      op: "conv2d",
      inputs: [input],
      weight: this.#tensor([out, into, kernel, kernel], Number(density)),
      stride: [stride, stride],
      padding: [padding, padding],
      dilation: [1, 1],
      groups: 1,
    });
    const [scale, shift] = [this.#tensor([out], 1), this.#tensor([out], 1)];
    return this.#node({ op: "affine", inputs: [convolved], scale, shift });
  }

  #relu(input: number): number {
    return this.#node({ op: "relu", inputs: [input] });
  }

  #block(input: number, into: number, out: number, stride: number): number {
    const first = this.#relu(this.#convolution(input, [into, out], 3, stride));
    const second = this.#convolution(first, [out, out], 3, 1);
    const shortcut = stride === 1 && into === out ? input : this.#convolution(input, [into, out], 1, stride);
    return this.#relu(this.#node({ op: "add", inputs: [second, shortcut] }));
  }

  build(): Graph {
    let channels = 64 * Number(width);
    let value = this.#relu(this.#convolution(0, [3, channels], 3, 1));
    for (const [stage, stride] of [1, 2, 2, 2].entries()) {
      const out = 64 * Number(width) * 2 ** stage;
      value = this.#block(value, channels, out, stride);
      value = this.#block(value, out, out, 1);
      channels = out;
    }
    const pooled = this.#node({ op: "avg_pool2d", inputs: [value], kernel: [4, 4], stride: [4, 4], padding: [0, 0] });
    this.#node({
      op: "linear",
      inputs: [pooled],
      weight: this.#tensor([10, channels], 1),
      bias: this.#tensor([10], 1),
    });
    return { input: [3, 32, 32], nodes: this.nodes };
  }
}

const network = new ResNet18();
const graph = network.build();
const begun = performance.now();
const engine = await createEngine({ graph, tensors: network.tensors }, { simd: kind === "simd" });
const ready = performance.now() - begun;
const image = Float32Array.from({ length: engine.imageSize }, (_, index) => Math.sin(index));
const logits = new Float32Array(engine.classes);

const times: number[] = [];
for (let i = 0; i < Number(repetitions); i++) {
  const start = performance.now();
  engine.run(image, logits);
  times.push((performance.now() - start) / 1000);
}
const style = { unit: "ms", digits: 3, times: 1000 };
const [first = 0, ...rest] = times;
console.log(`ResNet18 × ${width}, ${density} kept, ${engine.simd ? "SIMD" : "scalar"}, batch 1, one thread`);
console.log(`ready after ${ready.toFixed(0)} ms, ${(engine.bytes / 2 ** 20).toFixed(1)} MiB`);
console.log(`first image ${(1000 * first).toFixed(1)} ms; then ${spread(rest.slice(rest.length >> 2), style)}`);
console.log(`logits ${[...logits].map((value) => value.toPrecision(4)).join(" ")}`);
console.log(machine());
