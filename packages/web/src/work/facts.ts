import type { Predictor } from "@peekaboo/runtime";
import type { FileFacts, LayerFacts } from "../protocol.js";

const BYTES_OF_FLOAT32 = 4;

/** What the page tells of a file. */
export function factsOf({ description, network, engine, sizes }: Predictor, loadTime: number): FileFacts {
  const { test, provenance, classes, seed, init, graph, tensors } = description;
  const values = [...network.tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
  const grown = new Set(tensors.filter(({ stored }) => stored === "signs").map(({ name }) => name));
  const layers: LayerFacts[] = [];
  for (const [name, { shape, data, mask }] of network.tensors) {
    if (shape.length < 2) continue;
    const kept = mask === null ? data.length : mask.reduce((sum, bit) => sum + bit, 0);
    layers.push({ name, shape, grown: grown.has(name), kept, total: data.length });
  }
  return {
    network: description.network,
    seed,
    init,
    input: graph.input,
    classes: Array.from({ length: engine.classes }, (_, index) => classes[index] ?? `class ${index}`),
    test,
    dataset: typeof provenance.dataset === "string" ? provenance.dataset : null,
    sizes,
    bytes: Object.values(sizes).reduce((sum: number, part: number) => sum + part, 0),
    denseBytes: BYTES_OF_FLOAT32 * values,
    layers,
    grows: grown.size > 0,
    simd: engine.simd,
    loadTime,
  };
}
