import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, readWhole, writeFileAtomic } from "@peekaboo/files";
import { parseJson, UserError } from "@peekaboo/files/errors";
import { z } from "zod";
import { dataFolder } from "../data/cache.js";
import { sha256 } from "../data/checksum.js";

const MAX_BYTES = 4096;

const addressSchema = z.object({ port: z.int().min(1).max(65_535), token: z.string().regex(/^[\w-]{32}$/) });

/** Where a board was found. */
export type BoardAddress = z.infer<typeof addressSchema>;

/** A token that nobody guesses: 192 random bits. */
export function newToken(): string {
  return randomBytes(24).toString("base64url");
}

/** The address at which a folder's board was last; null where it had none. With it, pages that are open find the board again. */
export function rememberedAddress(folder: string): BoardAddress | null {
  try {
    const text = Buffer.from(readWhole("board", placeOf(folder), MAX_BYTES)).toString("utf8");
    return addressSchema.safeParse(parseJson(text, (received) => new Error(received))).data ?? null;
  } catch {
    return null;
  }
}

/** Keeps a folder's address, for this user alone; where that can't be done, the next board has another. */
export function rememberAddress(folder: string, address: BoardAddress): void {
  try {
    const own = boardsFolder();
    makeFolder("board", dataFolder());
    mkdirSync(own, { mode: 0o700, recursive: true });
    chmodSync(own, 0o700);
    writeFileAtomic(placeOf(folder), [Buffer.from(`${JSON.stringify(address)}\n`)]);
  } catch (error) {
    if (!(error instanceof UserError) && !(error instanceof Error && "code" in error)) throw error;
  }
}

function boardsFolder(): string {
  return join(dataFolder(), "boards");
}

function placeOf(folder: string): string {
  return join(boardsFolder(), `${sha256(Buffer.from(realpathSync(folder))).slice(0, 32)}.json`);
}
