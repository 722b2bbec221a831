// The thread that watchSupervisor starts: the lifeline is a pipe that closes when the supervisor is gone.
import { Socket } from "node:net";
import { LIFELINE_FD } from "./environment.js";

const SAVING_MS = 30_000;

new Socket({ fd: LIFELINE_FD, readable: true, writable: false })
  .once("close", () => {
    process.kill(process.pid, "SIGTERM");
    setTimeout(() => process.kill(process.pid, "SIGKILL"), SAVING_MS);
  })
  .on("error", () => {})
  .resume();
