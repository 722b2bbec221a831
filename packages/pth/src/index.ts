export { storageOf, torchGlobals } from "./globals.js";
export { isPth, type PthFile, parsePth, readPth } from "./read.js";
export { StoredTensor } from "./tensor.js";
export { encodePth, writePth } from "./write.js";
