export { type WasmMemory, webAssembly } from "./api.js";
export { doWhile, type Expr, i32, type Local, type Statement, step, v128, when } from "./code.js";
export { hasSimd } from "./detect.js";
export { FunctionBuilder, MEMORY, moduleOf } from "./module.js";
