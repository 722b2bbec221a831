export { byteLengthOf, firstNonBoolean, itemSize, MAX_RANK, numel, type SafetensorsDtype } from "./dtype.js";
export {
  asTypedArray,
  encodeSafetensors,
  layOutSafetensors,
  parseSafetensors,
  type SafetensorsFile,
  type SafetensorsLayout,
  type TensorArray,
  type TensorEntry,
} from "./format.js";
export type { SafetensorsHeader, TensorInfo } from "./header.js";
