import type { LayerFlips, Metrics } from "../../runs/metrics.js";
import { encodeHParams, FLOAT, type Histogram, type HParam, type HParamsData, type SummaryValue } from "./schema.js";

/** What TensorBoard shows of a line of the metrics; nothing of a step that was skipped. */
export function valuesOf(line: Metrics): SummaryValue[] {
  switch (line.kind) {
    case "step":
      return scalars({
        "loss/train": line.loss,
        "accuracy/train": line.accuracy,
        images_per_second: line.imagesPerSecond,
        "rates/lr": line.lr,
        ...(line.ar === undefined ? {} : { "rates/gamma": line.ar, flips: line.flips }),
      });
    case "epoch":
      return scalars({ "loss/train_epoch": line.loss, "accuracy/train_epoch": line.accuracy });
    case "flips":
      return [{ tag: "flips_by_layer", histo: histogramOf(line.layers) }, ...scalars(flipsPerWeight(line.layers))];
    case "eval":
      return scalars({
        "loss/test": line.loss,
        "accuracy/test": line.accuracy,
        ...(line.top5 === undefined ? {} : { "accuracy/test_top5": line.top5 }),
      });
    case "prune":
      return scalars({ density: line.kept / line.total });
    case "skip":
      return [];
  }
}

function scalars(figures: Readonly<Record<string, number>>): SummaryValue[] {
  return Object.entries(figures).map(([tag, simpleValue]) => ({ tag, simpleValue }));
}

/** A bucket for each layer, from 0 in the network's order: as high as the layer has flips. */
function histogramOf(layers: readonly LayerFlips[]): Histogram {
  const bucket = layers.map(({ flips }) => flips);
  const sumOf = (value: (layer: number) => number) => bucket.reduce((sum, flips, i) => sum + flips * value(i + 0.5), 0);
  return {
    min: 0,
    max: layers.length,
    num: sumOf(() => 1),
    sum: sumOf((layer) => layer),
    sumSquares: sumOf((layer) => layer ** 2),
    bucketLimit: layers.map((_, i) => i + 1),
    bucket,
  };
}

function flipsPerWeight(layers: readonly LayerFlips[]): Record<string, number> {
  return Object.fromEntries(
    layers.map(({ name, flips, kept }) => [`flips_per_weight/${name}`, kept === 0 ? 0 : flips / kept]),
  );
}

/** Settings, nested as in config.json, as TensorBoard's hyperparameters: by their paths, without those that are null. */
export function hparamsOf(settings: object, prefix = ""): Record<string, HParam> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]: [string, unknown]): [string, HParam][] => {
      const path = `${prefix}${name}`;
      if (value === null) return [];
      if (typeof value === "number") return [[path, { numberValue: value }]];
      if (typeof value === "boolean") return [[path, { boolValue: value }]];
      if (typeof value === "string") return [[path, { stringValue: value }]];
      if (Array.isArray(value)) return [[path, { stringValue: JSON.stringify(value) }]];
      return Object.entries(hparamsOf(value as object, `${path}.`));
    }),
  );
}

/** What the hparams plugin finds by its tag and reads from the metadata; the tensor is there because a value must be. */
export function hparamsValue(tag: "session_start_info" | "session_end_info", data: HParamsData): SummaryValue {
  return {
    tag: `_hparams_/${tag}`,
    metadata: { pluginData: { pluginName: "hparams", content: encodeHParams(data) } },
    tensor: { dtype: FLOAT, tensorShape: {}, floatVal: [0] },
  };
}
