export type {
  AddNode,
  AffineNode,
  Conv2dNode,
  Graph,
  GraphNode,
  GraphTensor,
  LinearNode,
  Pair,
  PoolNode,
  ReluNode,
  ReshapeNode,
  Shape,
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
export { assertInteger, checkSeed } from "./random/check.js";
export { fillByInversion, openUniform01, permutation } from "./random/distributions.js";
export { fnv1a64 } from "./random/hash.js";
export { RandomStream } from "./random/stream.js";
