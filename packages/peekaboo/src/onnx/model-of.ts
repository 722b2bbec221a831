import { type Graph, type GraphTensor, type Shape, shapesOf } from "@peekaboo/seed";
import { version } from "../version.js";
import { NodeWriter } from "./node-writer.js";
import { encodeModel, FLOAT, type ValueInfoProto } from "./schema.js";

/** A trained network as a file for other programs needs it. */
export interface OnnxSource {
  readonly network: string;
  readonly graph: Graph;
  /** By name, all that the graph names. */
  readonly tensors: ReadonlyMap<string, GraphTensor>;
  readonly classes: readonly string[];
  /** What each channel's values from 0 to 1 are reduced by and divided by before the network sees them. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly crop: number;
}

/** The names of what goes in and of what comes out. */
export const INPUT = "image";
export const OUTPUT = "logits";
/** What the operators' definitions are those of, of 2022: every runtime of the years since reads them. */
const OPSET = 17;
const IR_VERSION = 8;

/**
 * The bytes of an .onnx file: dense weights, normalised images "image" [N, C, H, W] in, "logits" [N, classes] out.
 * @throws {UserError} for a graph that doesn't hold together.
 */
export function onnxOf({ network, graph, tensors, classes, mean, std, crop }: OnnxSource): Uint8Array {
  const shapes = shapesOf(graph, tensors);
  const writer = new NodeWriter(tensors, shapes, [INPUT, OUTPUT]);
  graph.nodes.forEach((node, index) => {
    writer.write(node, index, index === graph.nodes.length - 1);
  });
  const last = shapes.at(-1) ?? graph.input;
  const facts = { classes, mean, std, crop };
  return encodeModel({
    irVersion: IR_VERSION,
    producerName: "peekaboo",
    producerVersion: version(),
    opsetImport: [{ domain: "", version: OPSET }],
    metadataProps: Object.entries(facts).map(([key, value]) => ({ key, value: JSON.stringify(value) })),
    graph: {
      name: network,
      node: writer.nodes,
      initializer: writer.tensors,
      input: [valueInfo(INPUT, graph.input, "Images of values from 0 to 1, less the mean, divided by std, by channel")],
      output: [valueInfo(OUTPUT, [numelOf(last)], "Of each class, before softmax")],
    },
  });
}

function numelOf([channels, height, width]: Shape): number {
  return channels * height * width;
}

function valueInfo(name: string, sizes: readonly number[], docString: string): ValueInfoProto {
  const dim = [{ dimParam: "N" }, ...sizes.map((dimValue) => ({ dimValue }))];
  return { name, docString, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}
