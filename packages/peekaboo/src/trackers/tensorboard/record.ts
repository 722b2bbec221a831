import { crc32c } from "./crc32c.js";

/**
 * A TFRecord: the data's length (uint64), its checksum, the data, its checksum, all little-endian; checksums are masked CRC-32Cs.
 * Source: https://www.tensorflow.org/tutorials/load_data/tfrecord.
 */
export function recordOf(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(data.length + 16);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(masked(data), 12 + data.length);
  return record;
}

/** Rotated and shifted, since the checksum of data that holds its own is weak. */
function masked(bytes: Uint8Array): number {
  const checksum = crc32c(bytes);
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
