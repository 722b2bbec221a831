export {
  type BackgroundFile,
  type BackgroundFileOperations,
  type FileContents,
  nodeBackgroundOperations,
  readInBackground,
  writeFileInBackground,
} from "./background-files.js";
export { errorCode, fileFault, WRITE_FAULTS } from "./file-faults.js";
export { type OpenFile, openRegular, readWhole, withFile, writeFileAtomic, writeTarget } from "./files.js";
export { isFolder, makeFolder, refuseUnwritable } from "./folders.js";
export { FileLock, type LockHolder } from "./lock.js";
export { readSafetensors, readSafetensorsHeader, writeSafetensors } from "./safetensors.js";
