import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../../tests/support/folder.js";
import { ignoresHangup, isUrgent, signalOf, statusOf } from "./signals.js";

it("a signal's exit status is 128 and its number, and back", () => {
  expect((["SIGHUP", "SIGINT", "SIGTERM"] as const).map(statusOf)).toEqual([129, 130, 143]);
  expect([129, 130, 143, 0, 137, null].map(signalOf)).toEqual([
    ...["SIGHUP", "SIGINT", "SIGTERM"],
    ...[undefined, undefined, undefined],
  ]);
});

it("a second signal is urgent, but not a SIGHUP, nor a SIGINT at the same time", () => {
  expect([isUrgent("SIGTERM", 10), isUrgent("SIGINT", 1000)]).toEqual([true, true]);
  expect([isUrgent("SIGHUP", 10), isUrgent("SIGHUP", 1000), isUrgent("SIGINT", 10)]).toEqual([false, false, false]);
});

describe("a process was started to outlive its terminal", () => {
  const folder = sharedFolder();
  const NO_PARENT = 0;

  /** A folder as in /proc, with a standard input opened so. */
  function withInput(flags: string, target: string): string {
    const own = mkdtempSync(join(folder, "proc-"));
    for (const name of ["fd", "fdinfo"]) mkdirSync(join(own, name));
    symlinkSync(target, join(own, "fd/0"));
    writeFileSync(join(own, "fdinfo/0"), `pos:\t0\nflags:\t${flags}\nmnt_id:\t23\n`);
    return own;
  }

  it("when nohup gave it an input that can't be read, and not with any other", () => {
    expect(ignoresHangup({}, NO_PARENT, withInput("0100001", "/dev/null"))).toBe(true);
    expect(ignoresHangup({}, NO_PARENT, withInput("0100000", "/dev/null"))).toBe(false);
    expect(ignoresHangup({}, NO_PARENT, withInput("0100002", "/dev/pts/1"))).toBe(false);
    expect(ignoresHangup({}, NO_PARENT, join(folder, "nowhere"))).toBe(false);
  });

  it("when the shell noted nohup as the command that it ran", () => {
    const proc = join(folder, "nowhere");
    expect(ignoresHangup({ _: "/usr/bin/nohup" }, NO_PARENT, proc)).toBe(true);
    expect(ignoresHangup({ _: "/usr/bin/node" }, NO_PARENT, proc)).toBe(false);
  });

  it("when its parent ignores SIGHUP", async () => {
    const proc = join(folder, "nowhere");
    const shell = spawn("sh", ["-c", 'trap "" HUP; echo; read _'], { stdio: ["pipe", "pipe", "ignore"] });
    await new Promise((resolve) => shell.stdout.once("data", resolve));
    expect(ignoresHangup({}, shell.pid ?? NO_PARENT, proc)).toBe(true);
    expect(ignoresHangup({}, process.pid, proc)).toBe(false);
    shell.stdin.end();
  });

  it("which Node itself doesn't tell: it gives every signal its default action", () => {
    const status = "console.log(/^SigIgn:\\s*(\\w+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1])";
    const { stdout } = spawnSync("sh", ["-c", 'trap "" HUP; "$0" -e "$1"', process.execPath, status], {
      encoding: "utf8",
    });
    expect(BigInt(`0x${stdout.trim()}`) & 1n).toBe(0n);
  });
});
