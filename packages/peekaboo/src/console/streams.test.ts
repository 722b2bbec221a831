import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { Outlet } from "./streams.js";

/** A standard stream of a terminal or a file that takes everything, or fails in one of the ways in which they do. */
function stream({ fails, isTTY = false }: { fails?: "thrown" | "told"; isTTY?: boolean } = {}, code = "ENOSPC") {
  const taken: string[] = [];
  const error = Object.assign(new Error(`${code}: no`), { code });
  const own = new Writable({
    write(chunk, _encoding, done) {
      if (fails === undefined) taken.push(String(chunk));
      setImmediate(done, fails === "told" ? error : null);
    },
    autoDestroy: false,
  });
  if (fails === "thrown") {
    own.write = () => {
      throw error;
    };
  }
  return { taken, outlet: new Outlet(Object.assign(own, { isTTY, columns: 77 }) as unknown as NodeJS.WriteStream) };
}

describe("Outlet", () => {
  it("passes on what is written, and what a bar asks of a terminal", async () => {
    const { taken, outlet } = stream({ isTTY: true });
    outlet.write("one");
    outlet.write("two");
    expect(await outlet.fault()).toBeNull();
    expect(taken).toEqual(["one", "two"]);
    expect([outlet.isTTY, outlet.columns]).toEqual([true, 77]);
  });

  it.each(["thrown", "told"] as const)("never fails, and tells of the first failure that was %s", async (fails) => {
    const { outlet } = stream({ fails });
    outlet.write("one");
    outlet.write("two");
    expect(await outlet.fault()).toMatchObject({ code: "ENOSPC" });
  });

  it.each([
    ["a reader that is gone", "EPIPE", false],
    ["a terminal that is gone", "EIO", true],
  ])("tells of none with %s", async (_, code, isTTY) => {
    const { outlet } = stream({ fails: "told", isTTY }, code);
    outlet.write("one");
    expect(await outlet.fault()).toBeNull();
  });
});
