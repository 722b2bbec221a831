import type { Pair, Shape } from "@peekaboo/seed";
import { describe, expect, it } from "vitest";
import { createEngine } from "./engine.js";
import { Dice, randomSketch, Sketch } from "./graphs.support.js";
import { reference } from "./reference.support.js";

/** The largest deviation from the reference on `count` images, relative to the largest logit. */
async function deviation({ graph, tensors }: Sketch, simd: boolean, count = 2): Promise<number> {
  const engine = await createEngine({ graph, tensors }, { simd });
  expect(engine.simd).toBe(simd);
  const images = new Dice(1, "images").floats(count * engine.imageSize);
  const logits = engine.run(images);
  let [largest, worst] = [1e-30, 0];
  for (let n = 0; n < count; n++) {
    const expected = reference(graph, tensors, images.subarray(n * engine.imageSize, (n + 1) * engine.imageSize));
    expect(expected.length).toBe(engine.classes);
    expected.forEach((value, index) => {
      const error = Math.abs(value - (logits[n * engine.classes + index] ?? Number.NaN));
      largest = Math.max(largest, Math.abs(value));
      // Not Math.max alone: a NaN must not be lost.
      worst = error <= worst ? worst : error;
    });
  }
  return worst / largest;
}

describe.each([true, false])("an engine (SIMD: %s)", (simd) => {
  it("computes 250 random graphs as the reference does", async () => {
    const failures: string[] = [];
    for (let seed = 0; seed < 250; seed++) {
      const sketch = randomSketch(seed);
      const error = await deviation(sketch, simd);
      if (!(error < 1e-5)) failures.push(`seed ${seed}: ${error}, ${sketch.nodes.map(({ op }) => op).join(" ")}`);
    }
    expect(failures).toEqual([]);
  });

  it.each<[number, number]>([
    [32, 32],
    [16, 16],
    [8, 8],
    [4, 4],
    [2, 2],
    [1, 1],
    [28, 28],
    [14, 14],
    [7, 7],
    [5, 37],
    [3, 56],
  ])("convolves images of %s × %s with every kernel, stride and padding", async (height, width) => {
    for (const kernel of [
      [1, 1],
      [3, 3],
      [5, 2],
    ] as const satisfies Pair[]) {
      for (const stride of [1, 2, 3]) {
        for (const padding of [0, 1, 2]) {
          if (height + 2 * padding < kernel[0] || width + 2 * padding < kernel[1]) continue;
          const sketch = new Sketch([3, height, width], new Dice(stride));
          sketch.relu(
            sketch.conv(
              sketch.conv(0, 4, kernel, { stride: [stride, stride], padding: [padding, padding] }),
              5,
              [3, 3],
            ),
          );
          expect(await deviation(sketch, simd, 1)).toBeLessThan(1e-5);
        }
      }
    }
  });

  it("computes WideResNet's blocks, whose activation comes first and has two readers", async () => {
    const sketch = new Sketch([3, 13, 10], new Dice(5));
    let value = sketch.conv(0, 8, [3, 3]);
    for (const stride of [1, 2]) {
      const active = sketch.relu(sketch.affine(value));
      const strides: Pair = [stride, stride];
      const inner = sketch.relu(sketch.affine(sketch.conv(active, 12, [3, 3], { stride: strides })));
      value = sketch.sum(
        sketch.conv(inner, 12, [3, 3]),
        sketch.conv(active, 12, [1, 1], { stride: strides, padding: [0, 0] }),
      );
      value = sketch.sum(value, value);
    }
    sketch.linear(value, 10);
    expect(await deviation(sketch, simd)).toBeLessThan(1e-5);
  });

  it("computes a classifier of convolutions of single pixels, bias and all, on what was an image", async () => {
    const sketch = new Sketch([3, 6, 5], new Dice(6));
    const image = sketch.relu(sketch.conv(0, 4, [3, 3]));
    const flat = sketch.add({ op: "reshape", inputs: [image], shape: [120, 1, 1] });
    const hidden = sketch.relu(sketch.affine(sketch.conv(flat, 32, [1, 1], { bias: "given" })));
    sketch.conv(hidden, 10, [1, 1], { bias: "given" });
    expect(await deviation(sketch, simd)).toBeLessThan(1e-5);
  });

  it("gives values worked out by hand", async () => {
    const tensors = new Map([
      ["w", { shape: [1, 1, 2, 2], data: Float32Array.of(1, 0, 10, 100) }],
      ["s", { shape: [1], data: Float32Array.of(-2) }],
      ["b", { shape: [1], data: Float32Array.of(1000) }],
    ]);
    const window = { stride: [2, 2], padding: [1, 1] } as const;
    const conv = { op: "conv2d", inputs: [0], weight: "w", ...window, dilation: [1, 1], groups: 1 } as const;
    const graph = {
      input: [1, 3, 3] as Shape,
      nodes: [
        conv,
        { op: "affine", inputs: [1], scale: "s", shift: "b" } as const,
        { op: "relu", inputs: [2] } as const,
      ],
    };
    const engine = await createEngine({ graph, tensors }, { simd });
    // Windows of the padded image 0000 0123 0456 0789: 10·0 + 100·1, 10·2 + 100·3, 0 + 1000·…
    expect([...engine.run(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))]).toEqual([800, 360, 0, 0]);
  });

  it("takes a maximum of negative numbers only from the image, and a mean from the padding, too", async () => {
    const pool = { inputs: [0], kernel: [3, 3], stride: [2, 2], padding: [1, 1] } as const;
    const run = async (op: "max_pool2d" | "avg_pool2d") => {
      const graph = { input: [1, 3, 3] as Shape, nodes: [{ op, ...pool }] };
      return [
        ...(await createEngine({ graph, tensors: new Map() }, { simd })).run(
          Float32Array.of(-9, -18, -27, -36, -45, -54, -63, -72, -81),
        ),
      ];
    };
    expect(await run("max_pool2d")).toEqual([-9, -18, -36, -45]);
    expect(await run("avg_pool2d")).toEqual([-12, -16, -24, -28]);
  });

  it("normalises groups of channels, and joins values, by hand", async () => {
    const tensors = new Map([
      ["s", { shape: [4], data: Float32Array.of(1, 2, 1, 1) }],
      ["b", { shape: [4], data: Float32Array.of(0, 0, 0, 5) }],
    ]);
    const input: Shape = [2, 1, 2];
    const nodes = [
      { op: "affine", inputs: [0], scale: "ten" } as const,
      { op: "concat", inputs: [0, 1] } as const,
      { op: "group_norm", inputs: [2], scale: "s", shift: "b", groups: 2, eps: 1e-12 } as const,
    ];
    tensors.set("ten", { shape: [2], data: Float32Array.of(10, 10) });
    const engine = await createEngine({ graph: { input, nodes }, tensors }, { simd });
    // Means 3 and 30, deviations 2 and 20.
    expect([...engine.run(Float32Array.of(1, 5, 1, 5))]).toEqual([-1, 1, -2, 2, -1, 1, 4, 6]);
  });

  it("has seven digits or fourteen places of GELU, however far out", async () => {
    const nodes = [{ op: "gelu", inputs: [0], approximate: "none" } as const];
    const graph = { input: [1, 1, 181] as Shape, nodes };
    const image = Float32Array.from({ length: 181 }, (_, i) => (i - 90) / 10);
    const expected = reference(graph, new Map(), image);
    const engine = await createEngine({ graph, tensors: new Map() }, { simd });
    engine.run(image).forEach((value, i) => {
      expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThan(3e-7 * Math.abs(expected[i] ?? 0) + 1e-14);
    });
    expect((expected[0] ?? 0) / (-9 * 1.1285884059538e-19)).toBeCloseTo(1, 7);
  });

  it("gives the image back where there is nothing to compute", async () => {
    const reshape = { op: "reshape", inputs: [0], shape: [4, 1, 1] } as const;
    for (const nodes of [[], [reshape]]) {
      const engine = await createEngine({ graph: { input: [1, 2, 2], nodes }, tensors: new Map() }, { simd });
      expect([...engine.run(Float32Array.of(1, -2, 3, 4))]).toEqual([1, -2, 3, 4]);
    }
  });

  it("gives the same bits for an image alone and in a batch, time and again", async () => {
    const { graph, tensors } = randomSketch(12);
    const engine = await createEngine({ graph, tensors }, { simd });
    const images = new Dice(2, "images").floats(3 * engine.imageSize);
    const batch = engine.run(images);
    const alone = [0, 1, 2].flatMap((n) => [
      ...engine.run(images.subarray(n * engine.imageSize, (n + 1) * engine.imageSize)),
    ]);
    expect(alone).toEqual([...batch]);
    expect(engine.run(images)).toEqual(batch);
    expect(engine.run(new Float32Array(0)).length).toBe(0);
  });

  it("makes no array while it runs, if it is given one for the logits", async () => {
    const sketch = new Sketch([2, 9, 9], new Dice(3));
    const pooled = sketch.add({
      op: "max_pool2d",
      inputs: [sketch.conv(0, 4, [3, 3], { stride: [2, 2] })],
      kernel: [3, 3],
      stride: [2, 2],
      padding: [1, 1],
    });
    const shaped = sketch.relu(sketch.add({ op: "reshape", inputs: [pooled], shape: [6, 3, 2] }));
    const bent = sketch.add({ op: "gelu", inputs: [shaped], approximate: "none" });
    sketch.norm(sketch.add({ op: "concat", inputs: [bent, shaped] }), 3);
    const engine = await createEngine(sketch, { simd });
    const [images, logits] = [new Float32Array(4 * engine.imageSize).fill(1), new Float32Array(4 * engine.classes)];
    const made: string[] = [];
    const [Float32, Buffer] = [globalThis.Float32Array, globalThis.ArrayBuffer];
    const watched = (name: string, of: object) => {
      const construct = (target: object, values: unknown[]) => {
        made.push(name);
        return Reflect.construct(target as never, values) as object;
      };
      return new Proxy(of, { construct });
    };
    Object.assign(globalThis, {
      Float32Array: watched("Float32Array", Float32),
      ArrayBuffer: watched("ArrayBuffer", Buffer),
    });
    try {
      engine.run(images, logits);
      expect(made).toEqual([]);
      engine.run(images);
      expect(made).toEqual(["Float32Array"]);
    } finally {
      Object.assign(globalThis, { Float32Array: Float32, ArrayBuffer: Buffer });
    }
  });
});

describe("createEngine", () => {
  const graph = { input: [1, 2, 2] as Shape, nodes: [{ op: "affine", inputs: [0], scale: "s" } as const] };

  it("refuses tensors whose numbers are not those of their shape, before anything is computed", async () => {
    const tensors = new Map([["s", { shape: [1], data: new Float32Array(2) }]]);
    await expect(createEngine({ graph, tensors })).rejects.toThrow(
      "expected 1 numbers for shape [1] for s, received 2",
    );
  });

  it("refuses what needs more than 2 GiB before it takes it", async () => {
    const relu = { op: "relu", inputs: [0] } as const;
    const sums = [5, 4, 3, 2].map(
      (value, index) => ({ op: "add", inputs: [value, index === 0 ? 1 : 5 + index] }) as const,
    );
    const large = { input: [2, 8000, 8000] as Shape, nodes: [relu, relu, relu, relu, relu, ...sums] };
    await expect(createEngine({ graph: large, tensors: new Map() })).rejects.toThrow(
      /expected at most 2048 MiB for its memory, received \d+ MiB/,
    );
  });

  it.each<[string, Shape, Pair, RegExp]>([
    ["images", [1, 1, 2 ** 26], [1, 1], /at most 32768 pixels a side for its images, received 67108864/],
    ["pools", [1, 1, 1], [2 ** 20, 2 ** 20], /at most 8388608 channels, times the windows of pools for its layers/],
    ["channels", [2 ** 27, 1, 1], [1, 1], /for its layers, received 134217728/],
  ])("refuses absurd %s at once", async (_, input, kernel, message) => {
    const padding: Pair = [kernel[0] >> 1, kernel[1] >> 1];
    const pool = { op: "max_pool2d", inputs: [0], kernel, stride: [1, 1], padding } as const;
    const begun = performance.now();
    await expect(createEngine({ graph: { input, nodes: [pool] }, tensors: new Map() })).rejects.toThrow(message);
    expect(performance.now() - begun).toBeLessThan(500);
  });

  it("refuses images and logits of another size", async () => {
    const engine = await createEngine({ graph, tensors: new Map([["s", { shape: [1], data: Float32Array.of(3) }]]) });
    expect([...engine.run(Float32Array.of(1, 2, 3, 4))]).toEqual([3, 6, 9, 12]);
    expect(() => engine.run(new Float32Array(7))).toThrow("expected a multiple of 4 numbers for images, received 7");
    expect(() => engine.run(new Float32Array(8), new Float32Array(4))).toThrow(
      "expected 8 numbers for logits, received 4",
    );
  });
});
