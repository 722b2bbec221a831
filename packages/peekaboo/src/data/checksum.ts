import { createHash } from "node:crypto";
import { readInBackground } from "@peekaboo/files";

/** A digest by which a file's contents are known. */
export interface Checksum {
  algorithm: "md5" | "sha1" | "sha256" | "sha512";
  encoding: "hex" | "base64";
  value: string;
}

/** A checksum as publishers write it: in hexadecimal digits. */
export function hex(algorithm: Checksum["algorithm"], value: string): Checksum {
  return { algorithm, encoding: "hex", value };
}

/** How a digest is computed and written. */
type Digest = Pick<Checksum, "algorithm" | "encoding">;

/** The digest of bytes in memory. */
export function digestOf(bytes: Uint8Array, { algorithm, encoding }: Digest): string {
  return createHash(algorithm).update(bytes).digest(encoding);
}

/** SHA-256 in hexadecimal digits. */
export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** The digest of a file of any size. */
export async function digestOfFile(path: string, { algorithm, encoding }: Digest): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of readInBackground(path, 0, 2 ** 20)) hash.update(chunk);
  return hash.digest(encoding);
}
