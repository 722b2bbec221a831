// Every pruner, one line each.
export { erk } from "./erk.js";
export { grasp } from "./grasp.js";
export { magnitude } from "./magnitude.js";
export { random } from "./random.js";
export { snip } from "./snip.js";
export { synFlow } from "./synflow.js";
