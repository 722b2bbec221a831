import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import { UserError } from "../errors.js";
import { type FileOperations, nodeFileOperations, openRegular, readWhole, withFile, writeFileAtomic } from "./files.js";

it.afterEach(({ folder }) => {
  chmodSync(folder, 0o755);
});

const bytes = (text: string) => new TextEncoder().encode(text);
const systemError = (code: string) => Object.assign(new Error(`${code}: made by the test`), { code });

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

/** The message of the UserError that `run` throws. */
function complaint(run: () => unknown): string {
  const error = caught(run);
  expect(error).toBeInstanceOf(UserError);
  return error instanceof Error ? error.message : "";
}

/**
 * The message that `call` throws, an expression with these functions. root may write anywhere, so a process of another
 * user runs it, whose Node has no need to change its user, which some refuse (CVE-2024-22017).
 */
function complaintToOthers(call: string): string {
  // Compiled, and where everybody may read it: the project may lie in root's own folder.
  const copy = mkdtempSync(join(tmpdir(), "files-test-code-"));
  try {
    cpSync(fileURLToPath(new URL("../../dist", import.meta.url)), join(copy, "dist"), { recursive: true });
    writeFileSync(join(copy, "package.json"), '{ "type": "module" }');
    execFileSync("chmod", ["-R", "a+rX", copy]);
    const files = JSON.stringify(pathToFileURL(join(copy, "dist/node/files.js")).href);
    const code = `const { withFile, writeFileAtomic } = await import(${files});
      try { ${call}; } catch (error) { console.log(error.message); }`;
    const user = process.geteuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const args = ["--input-type=module", "--eval", code];
    return execFileSync(process.execPath, args, { cwd: copy, encoding: "utf8", ...user }).trim();
  } finally {
    rmSync(copy, { recursive: true });
  }
}

describe("writeFileAtomic", () => {
  it("writes the chunks one after the other and leaves nothing else behind", ({ folder }) => {
    const path = join(folder, "new");
    writeFileAtomic(path, [bytes("ab"), bytes(""), bytes("cde")]);
    expect(readFileSync(path, "utf8")).toBe("abcde");
    expect(readdirSync(folder)).toEqual(["new"]);
  });

  it("writes an empty file from no chunks", ({ folder }) => {
    writeFileAtomic(join(folder, "empty"), []);
    expect(readFileSync(join(folder, "empty"), "utf8")).toBe("");
  });

  it("replaces a longer file whole", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "a long old content");
    writeFileAtomic(path, [bytes("new")]);
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  it("follows a link and keeps it", ({ folder }) => {
    mkdirSync(join(folder, "elsewhere"));
    writeFileSync(join(folder, "elsewhere", "real"), "old");
    symlinkSync(join("elsewhere", "real"), join(folder, "link"));
    writeFileAtomic(join(folder, "link"), [bytes("new")]);
    expect(readlinkSync(join(folder, "link"))).toBe(join("elsewhere", "real"));
    expect(readFileSync(join(folder, "elsewhere", "real"), "utf8")).toBe("new");
    expect(readdirSync(join(folder, "elsewhere"))).toEqual(["real"]);
  });

  it("takes a name as long as the system allows", ({ folder }) => {
    const path = join(folder, "n".repeat(255));
    writeFileAtomic(path, [bytes("x")]);
    expect(readFileSync(path, "utf8")).toBe("x");
  });

  it("goes on after writes that take only a part", ({ folder }) => {
    const path = join(folder, "file");
    const content = "0123456789".repeat(7);
    const write: FileOperations["write"] = (descriptor, part) =>
      nodeFileOperations.write(descriptor, part.subarray(0, 3));
    writeFileAtomic(path, [bytes(content), bytes("end")], { ...nodeFileOperations, write });
    expect(readFileSync(path, "utf8")).toBe(`${content}end`);
  });

  it("syncs and closes the data before the rename, and syncs the folder after it", ({ folder }) => {
    const log: string[] = [];
    const names = new Map<number, string>();
    const operations: FileOperations = {
      open(path, flags) {
        const descriptor = nodeFileOperations.open(path, flags);
        names.set(descriptor, path === folder ? "folder" : "data");
        log.push(`open ${names.get(descriptor)} ${flags}`);
        return descriptor;
      },
      write: nodeFileOperations.write,
      sync: (descriptor) => log.push(`sync ${names.get(descriptor)}`),
      close(descriptor) {
        log.push(`close ${names.get(descriptor)}`);
        nodeFileOperations.close(descriptor);
      },
      rename(from, to) {
        log.push("rename");
        nodeFileOperations.rename(from, to);
      },
      remove: nodeFileOperations.remove,
    };
    writeFileAtomic(join(folder, "file"), [bytes("x")], operations);
    expect(log).toEqual([
      "open data wx",
      "sync data",
      "close data",
      "rename",
      "open folder r",
      "sync folder",
      "close folder",
    ]);
  });
});

describe("writeFileAtomic, when something fails,", () => {
  const failing = (name: keyof FileOperations, code: string): FileOperations => ({
    ...nodeFileOperations,
    [name]: () => {
      throw systemError(code);
    },
  });

  it.for(["open", "write", "sync", "rename"] as const)(
    "keeps the old file and nothing else if %s fails",
    (name, { folder }) => {
      const path = join(folder, "file");
      writeFileSync(path, "old");
      const message = complaint(() => writeFileAtomic(path, [bytes("new")], failing(name, "ENOSPC")));
      expect(message).toBe(
        `write file: expected free space on the disk for "${path}", received a full disk (ENOSPC); ` +
          "free some space or choose a folder on another disk.",
      );
      expect(readFileSync(path, "utf8")).toBe("old");
      expect(readdirSync(folder)).toEqual(["file"]);
    },
  );

  it("stops in the middle of a file on a disk that fills up", ({ folder }) => {
    const path = join(folder, "file");
    let room = 5;
    const write: FileOperations["write"] = (descriptor, part) => {
      if (room === 0) throw systemError("ENOSPC");
      const written = nodeFileOperations.write(descriptor, part.subarray(0, room));
      room -= written;
      return written;
    };
    const message = complaint(() => writeFileAtomic(path, [bytes("1234567")], { ...nodeFileOperations, write }));
    expect(message).toContain("a full disk (ENOSPC)");
    expect(room).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.for([
    ["EACCES", "permission to write"],
    ["EROFS", "a writable disk"],
    ["EDQUOT", "free space in the disk quota"],
    ["EIO", "a working disk"],
  ] as const)("explains %s", ([code, expected], { folder }) => {
    const path = join(folder, "file");
    const message = complaint(() => writeFileAtomic(path, [], failing("open", code)));
    expect(message).toContain(`expected ${expected} for "${path}"`);
    expect(message).toContain(`(${code}); `);
  });

  it("passes an error on that is not the user's", ({ folder }) => {
    const error = caught(() => writeFileAtomic(join(folder, "file"), [], failing("sync", "EBADF")));
    expect(error).not.toBeInstanceOf(UserError);
    expect(error).toMatchObject({ code: "EBADF" });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("ends instead of waiting for a write that never takes anything", ({ folder }) => {
    const operations = { ...nodeFileOperations, write: () => 0 };
    expect(() => writeFileAtomic(join(folder, "file"), [bytes("ab")], operations)).toThrow(
      "a write of 2 bytes took none",
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it("passes on what the chunks throw, and keeps the old file", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "old");
    function* chunks() {
      yield bytes("half");
      throw new RangeError("no more");
    }
    expect(() => writeFileAtomic(path, chunks())).toThrow(new RangeError("no more"));
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("reports the first failure although the temporary file can't be removed either", ({ folder }) => {
    const operations = { ...failing("sync", "ENOSPC"), remove: failing("remove", "EACCES").remove };
    expect(complaint(() => writeFileAtomic(join(folder, "file"), [], operations))).toContain("ENOSPC");
  });

  it("accepts a folder that can't be synced, but reports one whose disk fails", ({ folder }) => {
    const folderFails = (code: string): FileOperations => ({
      ...nodeFileOperations,
      open(path, flags) {
        if (flags === "r") throw systemError(code);
        return nodeFileOperations.open(path, flags);
      },
    });
    const path = join(folder, "file");
    writeFileAtomic(path, [bytes("1")], folderFails("EINVAL"));
    expect(readFileSync(path, "utf8")).toBe("1");
    expect(complaint(() => writeFileAtomic(path, [bytes("2")], folderFails("EIO")))).toContain("EIO");
  });

  it("names a missing folder, a file in a folder's place, and a folder in the file's place", ({ folder }) => {
    const missing = join(folder, "missing", "file");
    expect(complaint(() => writeFileAtomic(missing, []))).toBe(
      `write file: expected an existing folder for "${missing}", received none (ENOENT); create the folder or correct the path.`,
    );
    writeFileSync(join(folder, "file"), "");
    const below = join(folder, "file", "below");
    expect(complaint(() => writeFileAtomic(below, []))).toContain(`folders all along the path for "${below}"`);
    expect(complaint(() => writeFileAtomic(folder, []))).toContain(`a regular file for "${folder}", received a folder`);
  });

  it("refuses to replace a device or pipe", ({ folder }) => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    expect(complaint(() => writeFileAtomic(pipe, []))).toContain("a device, pipe or socket");
    expect(readdirSync(folder)).toEqual(["pipe"]);
  });

  it("refuses a folder without write permission", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "old");
    chmodSync(folder, 0o555);
    const message = complaintToOthers(`writeFileAtomic(${JSON.stringify(path)}, [Buffer.from("new")])`);
    expect(message).toBe(
      `write file: expected permission to write for "${path}", received none (EACCES); ` +
        "change the folder's permissions or choose another folder.",
    );
    expect(readFileSync(path, "utf8")).toBe("old");
  });
});

describe("readWhole", () => {
  it("reads a file up to its limit, and not what is larger", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "01234");
    expect(readWhole("read test", path, 5)).toEqual(bytes("01234"));
    expect(complaint(() => readWhole("read test", path, 4))).toContain("a file of at most 4 bytes");
    truncateSync(path, 2 ** 42);
    expect(complaint(() => readWhole("read test", path, 2 ** 43))).toContain("contents that fit in memory");
  });

  it("ends for files of the system that have no size and no end", () => {
    for (const path of ["/proc/self/mem", "/proc/self/maps"]) expect(readWhole("read test", path, 9)).toHaveLength(0);
  });
});

describe("openRegular", () => {
  it("makes the file that the flags ask for, and waits for no pipe however it is to be opened", ({ folder }) => {
    const path = join(folder, "new");
    closeSync(openRegular("test", path, constants.O_RDWR | constants.O_CREAT));
    expect(readdirSync(folder)).toEqual(["new"]);
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    for (const flags of [constants.O_RDONLY, constants.O_WRONLY, constants.O_RDWR | constants.O_CREAT]) {
      expect(complaint(() => openRegular("test", pipe, flags))).toContain("a device, pipe or socket");
    }
  });
});

describe("withFile", () => {
  it("reads exactly what is asked for, and tells the size", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "0123456789");
    const [size, part] = withFile("read test", path, (file) => [file.size, file.read(3, 4)] as const);
    expect(size).toBe(10);
    expect(part).toEqual(bytes("3456"));
  });

  it("reports a file that ends early", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "0123");
    expect(complaint(() => withFile("read test", path, (file) => file.read(2, 5)))).toContain(
      `read test: expected 5 bytes from byte 2 for "${path}", received the file's end after 2 of them`,
    );
  });

  it("reports a size that no memory holds", ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, "");
    expect(complaint(() => withFile("read test", path, (file) => file.read(0, 2 ** 52)))).toContain(
      `contents that fit in memory for "${path}", received 4503599627370496 bytes`,
    );
  });

  it("names a missing file, a folder, a pipe and a file that may not be read", ({ folder }) => {
    const read = (path: string) => complaint(() => withFile("read test", path, () => undefined));
    const missing = join(folder, "missing");
    expect(read(missing)).toBe(
      `read test: expected an existing file for "${missing}", received none (ENOENT); correct the path.`,
    );
    expect(read(folder)).toContain("a regular file");
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    expect(read(pipe)).toContain("a device, pipe or socket");
    const secret = join(folder, "secret");
    writeFileSync(secret, "");
    chmodSync(secret, 0);
    chmodSync(folder, 0o755);
    expect(complaintToOthers(`withFile("read test", ${JSON.stringify(secret)}, () => undefined)`)).toContain(
      "permission to read",
    );
  });
});
