import { get as getHttp, type IncomingMessage, type RequestOptions } from "node:http";
import { get as getHttps } from "node:https";
import { quoted } from "@peekaboo/files/errors";
import { ConnectionBroke, type FetchContext, SourceUnavailable } from "../source.js";

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

type Limits = Pick<FetchContext, "signal" | "connectTimeout" | "stallTimeout">;

/**
 * GETs a URL, follows redirects and resolves when the response begins. Unlike `fetch`, the body's bytes are never
 * decompressed, so that checksums and ranges mean the file's own bytes.
 *
 * @throws {SourceUnavailable} when no connection stands or no byte comes in time, and the signal's reason on abort.
 */
export async function openUrl(url: string, headers: Record<string, string>, limits: Limits): Promise<IncomingMessage> {
  let target = parseUrl(url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await request(target, headers, limits);
    const { location } = response.headers;
    if (!REDIRECTS.has(response.statusCode ?? 0) || location === undefined) return response;
    response.destroy();
    target = parseUrl(location, target);
  }
  throw new SourceUnavailable(`more than ${MAX_REDIRECTS} redirects`);
}

/** The response's bytes, piece by piece; a broken connection is {@link SourceUnavailable}. */
export async function* bodyOf(response: IncomingMessage, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  try {
    yield* response;
  } catch (error) {
    signal?.throwIfAborted();
    throw unavailable(error);
  }
}

function request(url: URL, headers: Record<string, string>, limits: Limits): Promise<IncomingMessage> {
  const { signal, connectTimeout, stallTimeout } = limits;
  const secure = url.protocol === "https:";
  const options: RequestOptions = { headers: { "user-agent": "peekaboo", ...headers } };
  if (signal !== undefined) options.signal = signal;
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    const sent = (secure ? getHttps : getHttp)(url, options, (received) => {
      response = received;
      resolve(received);
    });
    const fail = (reason: string) => (response ?? sent).destroy(new Error(reason));
    const connecting = setTimeout(() => fail(`no connection within ${connectTimeout / 1000} s`), connectTimeout);
    sent.on("socket", (socket) => {
      if (socket.connecting) socket.once(secure ? "secureConnect" : "connect", () => clearTimeout(connecting));
      // One that was kept from the request before.
      else clearTimeout(connecting);
    });
    sent.setTimeout(stallTimeout, () => fail(`no data for ${stallTimeout / 1000} s`));
    sent.on("close", () => clearTimeout(connecting));
    sent.on("error", (error) => reject(signal?.aborted ? signal.reason : unavailable(error)));
  });
}

function parseUrl(url: string, base?: URL): URL {
  try {
    const parsed = new URL(url, base);
    if (parsed.protocol === "https:" || parsed.protocol === "http:") return parsed;
  } catch {
    // Reported below, as an address of another kind is.
  }
  throw new SourceUnavailable(`${quoted(url)} is no http(s) address`);
}

/** What Node says of a connection that stood and then broke, before the response or within it. */
const BROKEN = new Set(["ECONNRESET", "ECONNABORTED", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"]);

function unavailable(error: unknown): SourceUnavailable {
  // When every address of a host refuses, Node gives an AggregateError that has a code but no message.
  const { message = "", code = "unknown error" } = error as { message?: string; code?: string };
  const reason = message === "" ? code : message;
  if (BROKEN.has(code)) return new ConnectionBroke(reason, { cause: error });
  return new SourceUnavailable(reason, { cause: error });
}
