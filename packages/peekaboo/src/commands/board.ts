import { resolve } from "node:path";
import { errorCode, isFolder } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { newToken, rememberAddress, rememberedAddress } from "../board/remembered-address.js";
import { BoardServer } from "../board/server.js";
import { setting } from "../setting.js";

/** What to follow and where to listen. */
export interface BoardSettings {
  /** Null for the port that the folder's board last had, or a free one. */
  readonly port: number | null;
  readonly host: string;
}

/** A board that runs. */
export interface RunningBoard extends Disposable {
  /** The page's, with the token. */
  readonly address: string;
}

/** Starts the board of a folder. @throws {UserError} where there is no such folder, or it can't listen. */
export async function openBoard(folder: string, { port, host }: BoardSettings): Promise<RunningBoard> {
  if (!isFolder(folder)) throw noFolder(folder);
  const path = resolve(folder);
  const before = rememberedAddress(path);
  const options = { folder: path, host, token: before?.token ?? newToken() };
  const board = await listen(options, port === null ? [before?.port ?? 0, 0] : [port]);
  rememberAddress(path, { port: board.port, token: options.token });
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    address: `http://${name}:${board.port}/${options.token}/`,
    [Symbol.dispose]: () => board.close(),
  };
}

/** Listens on the first of the ports that is free. */
async function listen(
  options: { folder: string; host: string; token: string },
  [port = 0, ...others]: readonly number[],
): Promise<BoardServer> {
  try {
    return await BoardServer.start({ ...options, port });
  } catch (error) {
    if (others.length > 0 && errorCode(error) === "EADDRINUSE") return listen(options, others);
    throw cantListen(options.host, port, error);
  }
}

function noFolder(folder: string): UserError {
  return new UserError({
    operation: "board",
    argument: "FOLDER",
    expected: "a folder with runs below it",
    received: `${quoted(folder)}, which is none`,
    remedy: `train a network first, or give the folder that training's ${setting("savedir")} named`,
  });
}

function cantListen(host: string, port: number, cause: unknown): UserError {
  const code = errorCode(cause);
  if (code === undefined) throw cause;
  const atPort = code === "EADDRINUSE" || code === "EACCES";
  return new UserError({
    operation: "board",
    argument: setting(atPort ? "port" : "host"),
    expected: atPort ? "a port that is free and that you may use" : "an address of this machine",
    received: `${atPort ? port : quoted(host)} (${code})`,
    remedy: atPort
      ? `give another, or leave ${setting("port")} out`
      : `leave ${setting("host")} out, which is this machine alone`,
    cause,
  });
}
