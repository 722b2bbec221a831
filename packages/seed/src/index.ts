export type {
  AddNode,
  AffineNode,
  ConcatNode,
  Conv2dNode,
  GeluNode,
  Graph,
  GraphNode,
  GraphTensor,
  GroupNormNode,
  LinearNode,
  Pair,
  PoolNode,
  ReluNode,
  ReshapeNode,
  Shape,
  SigmoidNode,
  SubsampleNode,
} from "./graph/graph.js";
export { shapesOf } from "./graph/shapes.js";
export {
  INIT_METHODS,
  type InitMethod,
  initialiseUniformBias,
  initialiseWeight,
  uniformBetween,
} from "./init/weights.js";
export { isPab, type PartSizes, pabPartSizes } from "./pab/container.js";
export { decodePab, decodingSteps, describePab, type Watch } from "./pab/decode.js";
export type { Description, MaskedBy, Provenance, StoredAs, TensorDescription, TestResult } from "./pab/description.js";
export { encodePab, growsFromSeed } from "./pab/encode.js";
export { measurePab, type PabMeasure, type TensorBits } from "./pab/measure.js";
export type { PabNetwork, PabTensor } from "./pab/network.js";
export { assertInteger, checkSeed } from "./random/check.js";
export { fillByInversion, openUniform01, permutation, type Quantile, uniformQuantile } from "./random/distributions.js";
export { fnv1a64 } from "./random/hash.js";
export { randomMask, shuffledMask } from "./random/shuffled-mask.js";
export { RandomStream, type StreamState } from "./random/stream.js";
