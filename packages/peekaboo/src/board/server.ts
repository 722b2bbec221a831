import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { readInBackground } from "@peekaboo/files";
import { hasToken, isOwnHost } from "./access.js";
import { curvesOf } from "./curves.js";
import { FollowedRuns } from "./followed-runs.js";
import { type PageFile, pageFiles, unbuiltPage } from "./page-files.js";
import { PREDICTING_POLICY, PredictingPage } from "./predicting-page.js";
import { MOST_COMPARED, type RunsEvent } from "./protocol.js";

/** On every answer: nothing comes from elsewhere, and nothing of it goes there. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};
const PIECE_BYTES = 64 * 1024;
/** A browser that takes nothing any more is let go at this many bytes that wait for it. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;
/** After how long a browser that lost the server asks again. */
const RETRY_MS = 1000;
const MOST_POINTS = 2000;
/** The predicting page's place below the board's own. */
const PREDICTING = "predict/";

/** What a board follows and where it is found. */
export interface BoardOptions {
  readonly folder: string;
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly token: string;
  /** The folder of the page that runs networks; default: that of this package. */
  readonly predicting?: string | undefined;
}

/** The server of a page that follows the runs below a folder. */
export class BoardServer {
  readonly #options: BoardOptions;
  readonly #server: Server;
  readonly #runs: FollowedRuns;
  readonly #files = pageFiles();
  readonly #predicting: PredictingPage;
  /** Lets a browser fetch all modules at once, and not each when another has asked for it. */
  readonly #modules = [...this.#files.keys()]
    .filter((path) => path.includes("/"))
    .map((path) => `<${path}>; rel=modulepreload`)
    .join(", ");
  /** Pages that wait for events. */
  readonly #listeners = new Set<ServerResponse>();

  private constructor(options: BoardOptions) {
    this.#options = options;
    this.#predicting = new PredictingPage(options.predicting);
    this.#runs = new FollowedRuns(options.folder, (event) => this.#tell(event));
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** Resolves when it listens; rejects with the system's error where it can't. */
  static async start(options: BoardOptions): Promise<BoardServer> {
    const board = new BoardServer(options);
    try {
      await new Promise<void>((resolve, reject) => {
        board.#server.once("error", reject).listen(options.port, options.host, resolve);
      });
      return board;
    } catch (error) {
      board.close();
      throw error;
    }
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends at once, whoever is connected. */
  close(): void {
    this.#runs.close();
    for (const listener of this.#listeners) listener.end();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #answer({ url = "/", method, headers }: IncomingMessage, response: ServerResponse): void {
    const { host, token } = this.#options;
    const [path = "/", query] = url.split("?", 2);
    if (!isOwnHost(headers.host, host) || !hasToken(path, token)) refuse(response, 403);
    else if (method !== "GET") refuse(response, 405, { allow: "GET" });
    // Without the slash, the page's own links would lead elsewhere.
    else if (path === `/${token}`) refuse(response, 308, { location: `/${token}/` });
    else this.#give(path.slice(token.length + 2), new URLSearchParams(query), response);
  }

  /** @param path below the page's address */
  #give(path: string, query: URLSearchParams, response: ServerResponse): void {
    const file = this.#files.get(path);
    if (file !== undefined) sendPage(response, file, path === "" ? { link: this.#modules } : {});
    else if (path === "events") this.#listen(response);
    else if (path === "curves") this.#sendCurves(response, query);
    else if (path === "best.pab") this.#sendBest(response, query);
    else if (path.startsWith(PREDICTING)) this.#givePredicting(path.slice(PREDICTING.length), response);
    else this.#giveOfRun(path, response);
  }

  /** @param path below the predicting page's address */
  #givePredicting(path: string, response: ServerResponse): void {
    const file = this.#predicting.file(path);
    if (file !== null) sendPage(response, file, { "content-security-policy": PREDICTING_POLICY });
    else if (path === "") sendPage(response, unbuiltPage());
    else refuse(response, 404);
  }

  /** The best network of the run of that name: its number would be another run's after the board was started again. */
  #sendBest(response: ServerResponse, query: URLSearchParams): void {
    const run = this.#runs.named(query.get("run") ?? "");
    if (run === undefined) refuse(response, 404);
    else sendFile(response, run.folder.bestPab, "best.pab", "application/octet-stream");
  }

  #giveOfRun(path: string, response: ServerResponse): void {
    const [, id = "", what] = /^runs\/(\d{1,9})\/(layers|run\.svg|best\.pab)$/.exec(path) ?? [];
    const run = this.#runs.get(Number(id));
    if (run === undefined) refuse(response, 404);
    else if (what === "layers") sendJson(response, { id: run.id, ...run.figures.layers() });
    else if (what === "run.svg") sendFile(response, run.folder.picture, what, "image/svg+xml");
    else sendFile(response, run.folder.bestPab, "best.pab", "application/octet-stream");
  }

  #listen(response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, "content-type": "text/event-stream; charset=utf-8" });
    response.write(`retry: ${RETRY_MS}\n\n${eventText(this.#runs.all())}`);
    this.#listeners.add(response);
    response.on("close", () => this.#listeners.delete(response));
  }

  #tell(event: RunsEvent): void {
    const text = eventText(event);
    for (const listener of this.#listeners) {
      if (listener.writableLength > MOST_WAITING_BYTES) listener.destroy();
      else listener.write(text);
    }
  }

  #sendCurves(response: ServerResponse, query: URLSearchParams): void {
    const ids = (query.get("runs") ?? "").split(",").slice(0, MOST_COMPARED).map(Number);
    const runs = [...new Set(ids)].map((id) => this.#runs.get(id)).filter((run) => run !== undefined);
    this.#runs.want(runs);
    const whole = (name: string) => (/^\d{1,15}$/.test(query.get(name) ?? "") ? Number(query.get(name)) : null);
    const points = Math.min(MOST_POINTS, Math.max(1, whole("points") ?? MOST_POINTS));
    sendJson(response, curvesOf(runs, { from: whole("from") ?? 0, to: whole("to"), points }));
  }
}

function eventText(event: RunsEvent): string {
  return `event: runs\ndata: ${JSON.stringify(event)}\n\n`;
}

function refuse(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { ...HEADERS, ...headers, "content-type": "text/plain; charset=utf-8" });
  response.end(`${status}\n`);
}

function sendPage(
  response: ServerResponse,
  { type, bytes }: PageFile,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(response, type, bytes, headers);
}

function send(
  response: ServerResponse,
  type: string,
  bytes: Buffer | string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(200, { ...HEADERS, ...headers, "content-type": type });
  response.end(bytes);
}

function sendJson(response: ServerResponse, value: unknown): void {
  send(response, "application/json; charset=utf-8", JSON.stringify(value));
}

/** Sends a run's file for download; it may be gone, or go while it is sent. */
function sendFile(response: ServerResponse, path: string, name: string, type: string): void {
  const pieces = readInBackground(path, 0, PIECE_BYTES, "board");
  const answer = async () => {
    const first = await pieces.next();
    response.writeHead(200, {
      ...HEADERS,
      "content-type": type,
      "content-disposition": `attachment; filename="${name}"`,
    });
    response.write(Buffer.from(first.value ?? []));
    await pipeline(Readable.from(copies(pieces)), response);
  };
  answer().catch(() => {
    if (response.headersSent) response.destroy();
    else refuse(response, 404);
  });
}

/** Each piece as its own bytes: the reader uses one place for all. */
async function* copies(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) yield Buffer.from(piece);
}
