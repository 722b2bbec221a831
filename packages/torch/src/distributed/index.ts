export { initProcessGroup, type ProcessGroupOptions } from "./init.js";
export { environmentOf, type LaunchEnvironment } from "./launch.js";
export type { Backend, ReduceOp } from "./native.js";
export { ProcessGroup } from "./process-group.js";
export { GradientReducer } from "./reducer.js";
export { shardForEvaluation, shardOfEpoch } from "./sampler.js";
export { assertSameLayout, assertSameState, broadcastState, type NamedTensors, stateHash } from "./state.js";
export { Store, type StoreOptions } from "./store.js";
export { Work } from "./work.js";
