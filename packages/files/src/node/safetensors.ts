import { attachData, encodeSafetensors, type SafetensorsFile, type TensorEntry } from "../safetensors/format.js";
import { headerLength, PREFIX_LENGTH, parseHeader, type SafetensorsHeader } from "../safetensors/header.js";
import { type OpenFile, withFile, writeFileAtomic } from "./files.js";

const OPERATION = "read safetensors";

/**
 * Reads a safetensors file; its tensors are aligned views of one buffer, allocated once the header has been checked
 * against the file's size.
 *
 * @throws {UserError} naming the file, the tensor and what is wrong with it.
 */
export function readSafetensors(path: string): SafetensorsFile {
  return withFile(OPERATION, path, (file) => {
    const header = readHeader(file, path);
    return attachData(header, file.read(header.dataOffset, file.size - header.dataOffset), path);
  });
}

/**
 * Reads a safetensors file's header alone: names, dtypes, shapes, metadata and sizes.
 *
 * @throws {UserError} as {@link readSafetensors} does, but for what only the data can show.
 */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withFile(OPERATION, path, (file) => readHeader(file, path));
}

function readHeader(file: OpenFile, path: string): SafetensorsHeader {
  const prefix = file.read(0, Math.min(PREFIX_LENGTH, file.size));
  const length = headerLength(prefix, file.size, path);
  return parseHeader(file.read(PREFIX_LENGTH, length), file.size, path);
}

/**
 * Writes a safetensors file, whole or not at all (see {@link writeFileAtomic}, and {@link encodeSafetensors} for the layout).
 *
 * @throws {UserError} naming the tensor that can't be written, or the path and why it can't be.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, TensorEntry]>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}
