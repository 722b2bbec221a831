import { webAssembly } from "./api.js";
import { i32, v128 } from "./code.js";
import { FunctionBuilder, moduleOf } from "./module.js";

/** Whether this engine runs WebAssembly with SIMD. */
export function hasSimd(): boolean {
  const probe = new FunctionBuilder(0);
  probe.emit(v128.store(i32.const(0), v128.splat(0)));
  return webAssembly?.validate(moduleOf([probe], 1)) ?? false;
}
