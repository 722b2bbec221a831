import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import {
  type BackgroundFileOperations,
  type FileContents,
  nodeBackgroundOperations,
  writeFileInBackground,
} from "./background-files.js";

let path: string;
it.beforeEach(({ folder }) => {
  path = join(folder, "file");
});

const bytes = (text: string) => new TextEncoder().encode(text);
const systemError = (code: string) => Object.assign(new Error(`${code}: made by the test`), { code });

/** Contents whose parts are written last to first, without waiting for any. */
function contentsOf(...parts: string[]): FileContents {
  const text = parts.join("");
  return {
    byteLength: text.length,
    async writeTo(file) {
      for (let i = parts.length - 1; i >= 0; i--) {
        void file.write(bytes(parts[i] ?? ""), parts.slice(0, i).join("").length);
      }
    },
  };
}

describe("writeFileInBackground", () => {
  it("puts every part in its place, whatever the order, and leaves nothing else behind", async ({ folder }) => {
    writeFileSync(path, "a longer old content");
    await writeFileInBackground(path, contentsOf("ab", "", "cde", "f"));
    expect(readFileSync(path, "utf8")).toBe("abcdef");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("goes on after writes that take only a part", async () => {
    const write: BackgroundFileOperations["write"] = (descriptor, part, position) =>
      nodeBackgroundOperations.write(descriptor, part.subarray(0, 3), position);
    await writeFileInBackground(path, contentsOf("0123456789", "end"), { ...nodeBackgroundOperations, write });
    expect(readFileSync(path, "utf8")).toBe("0123456789end");
  });

  it("syncs when all is written, renames when that is done, and syncs the folder last", async () => {
    const log: string[] = [];
    const later = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
    const operations: BackgroundFileOperations = {
      ...nodeBackgroundOperations,
      async write(descriptor, part, position) {
        await later();
        log.push("write");
        return nodeBackgroundOperations.write(descriptor, part, position);
      },
      async flush() {
        await later();
        log.push("flush");
      },
      async sync() {
        await later();
        log.push("sync");
      },
      rename(from, to) {
        log.push("rename");
        nodeBackgroundOperations.rename(from, to);
      },
    };
    await writeFileInBackground(path, contentsOf("a", "b", "c"), operations);
    expect(log.filter((what) => what !== "flush")).toEqual(["write", "write", "write", "sync", "rename", "sync"]);
    expect(log.slice(3).filter((what) => what === "flush").length).toBeGreaterThan(0);
    expect(log.indexOf("sync")).toBeGreaterThan(log.lastIndexOf("flush"));
  });
});

describe("writeFileInBackground, when something fails,", () => {
  const failing = (name: keyof BackgroundFileOperations, error: Error): BackgroundFileOperations => ({
    ...nodeBackgroundOperations,
    [name]: () => {
      throw error;
    },
  });

  it.for(["open", "write", "flush", "sync", "rename"] as const)(
    "keeps the old file and nothing else if %s fails",
    async (name, { folder }) => {
      writeFileSync(path, "old");
      const operations = failing(name, systemError("ENOSPC"));
      await expect(writeFileInBackground(path, contentsOf("new", "er"), operations)).rejects.toThrow(
        `write file: expected free space on the disk for "${path}", received a full disk (ENOSPC); ` +
          "free some space or choose a folder on another disk.",
      );
      expect(readFileSync(path, "utf8")).toBe("old");
      expect(readdirSync(folder)).toEqual(["file"]);
    },
  );

  it("waits for the other writes before it closes the file", async ({ folder }) => {
    const log: string[] = [];
    const operations: BackgroundFileOperations = {
      ...nodeBackgroundOperations,
      async write(_, part) {
        if (part.byteLength === 1) throw systemError("EIO");
        await new Promise((resolve) => setTimeout(resolve, 10));
        log.push("written");
        return part.byteLength;
      },
      close(descriptor) {
        log.push("closed");
        nodeBackgroundOperations.close(descriptor);
      },
    };
    await expect(writeFileInBackground(path, contentsOf("slow", "x"), operations)).rejects.toThrow("(EIO)");
    expect(log).toEqual(["written", "closed"]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("ends instead of waiting for a write that never takes anything", async ({ folder }) => {
    const operations = { ...nodeBackgroundOperations, write: async () => 0 };
    await expect(writeFileInBackground(path, contentsOf("ab"), operations)).rejects.toThrow(
      "a write of 2 bytes took none",
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it("passes on what the contents throw, and keeps the old file", async ({ folder }) => {
    writeFileSync(path, "old");
    const fault = new RangeError("no more");
    const contents: FileContents = {
      byteLength: 3,
      async writeTo(file) {
        await file.write(bytes("new"), 0);
        throw fault;
      },
    };
    await expect(writeFileInBackground(path, contents)).rejects.toBe(fault);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file"]);
  });
});

it("a folder that can't be synced is no failed write, and one with a broken disk is", async () => {
  const syncing = (code: string): BackgroundFileOperations => {
    let calls = 0;
    return {
      ...nodeBackgroundOperations,
      async sync() {
        calls++;
        if (calls === 2) throw systemError(code);
      },
    };
  };
  await writeFileInBackground(path, contentsOf("x"), syncing("EINVAL"));
  await expect(writeFileInBackground(path, contentsOf("y"), syncing("EIO"))).rejects.toThrow("a working disk");
  expect(readFileSync(path, "utf8")).toBe("y");
});
