import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { md5Of, send, serve } from "../../../../../tests/support/data.js";
import { it } from "../../../../../tests/support/folder.js";
import type { DataProgress, FetchContext } from "../source.js";
import { download } from "./download.js";

const content = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) % 251);

let file: string;
it.beforeEach(({ folder }) => {
  file = join(folder, "archive.part");
});

function contextWith(folder: string, more: Partial<FetchContext> = {}): FetchContext {
  return { folder, onProgress: () => {}, connectTimeout: 2000, stallTimeout: 2000, ...more };
}

const remote = (url: string) => ({ url: `${url}/archive`, bytes: content.length, checksum: md5Of(content) });

describe("download", () => {
  it("fetches the file and reports its bytes up to the total", async ({ folder }) => {
    await using server = await serve((request, response) => send(content, request, response));
    const seen: DataProgress[] = [];
    await download(remote(server.url), file, contextWith(folder, { onProgress: (progress) => seen.push(progress) }));
    expect(readFileSync(file).equals(content)).toBe(true);
    const location = `${server.url}/archive`;
    expect(seen.at(-1)).toEqual({ stage: "download", location, bytes: 300_000, total: 300_000 });
  });

  it("goes on from the bytes that an earlier download left", async ({ folder }) => {
    await using server = await serve((request, response) => send(content, request, response));
    writeFileSync(file, content.subarray(0, 1234));
    await download(remote(server.url), file, contextWith(folder));
    expect(server.requests).toEqual(["/archive bytes=1234-"]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("asks for nothing when the file is already whole", async ({ folder }) => {
    await using server = await serve((request, response) => send(content, request, response));
    writeFileSync(file, content);
    await download(remote(server.url), file, contextWith(folder));
    expect(server.requests).toEqual([]);
  });

  it("starts over when the server knows no ranges", async ({ folder }) => {
    await using server = await serve((_, response) => response.end(content));
    writeFileSync(file, new Uint8Array(1234));
    await download(remote(server.url), file, contextWith(folder));
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("starts over when what was left there belongs to another file", async ({ folder }) => {
    await using server = await serve((request, response) => send(content, request, response));
    writeFileSync(file, new Uint8Array(1234).fill(9));
    await download(remote(server.url), file, contextWith(folder));
    expect(server.requests).toEqual(["/archive bytes=1234-", "/archive"]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("takes up a connection that broke", async ({ folder }) => {
    await using server = await serve((request, response) => {
      if (server.requests.length > 1) return send(content, request, response);
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 100_000), () => response.socket?.end());
    });
    await download(remote(server.url), file, contextWith(folder));
    // How much of the first connection's bytes Node gives out before it tells of the break is its own affair.
    expect(server.requests).toEqual(["/archive", expect.stringMatching(/^\/archive( bytes=[1-9]\d*-)?$/)]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("takes up connections that break before they bring a byte", async ({ folder }) => {
    await using server = await serve((request, response) => {
      if (server.requests.length > 3) return send(content, request, response);
      if (server.requests.length === 1) response.writeHead(200, { "content-length": content.length }).flushHeaders();
      response.socket?.destroy();
    });
    await download(remote(server.url), file, contextWith(folder));
    expect(server.requests).toEqual(Array(4).fill("/archive"));
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("gives up when connections keep breaking, and keeps what came", async ({ folder }) => {
    await using server = await serve((_, response) => response.socket?.destroy());
    writeFileSync(file, content.subarray(0, 10));
    const vain = download(remote(server.url), file, contextWith(folder));
    await expect(vain).rejects.toThrow(/^its connection broke 4 times without bringing a byte \(.+\)$/);
    expect(server.requests).toEqual(Array(4).fill("/archive bytes=10-"));
    expect(readFileSync(file)).toEqual(Buffer.from(content.subarray(0, 10)));
  });

  it("doesn't go on for ever with a server that gives a byte at a time", async ({ folder }) => {
    await using server = await serve((request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
      response.writeHead(206, { "content-range": `bytes ${from}-299999/300000` });
      response.end(content.subarray(from, from + 1));
    });
    writeFileSync(file, content.subarray(0, 1));
    await expect(download(remote(server.url), file, contextWith(folder))).rejects.toThrow(
      "its connection broke 20 times",
    );
    expect(server.requests.length).toBe(20);
  });

  it("stops waiting for another try when it is aborted", async ({ folder }) => {
    const controller = new AbortController();
    await using server = await serve((_, response) => {
      response.socket?.destroy();
      setTimeout(() => controller.abort(new Error("enough")), 20);
    });
    const waiting = download(remote(server.url), file, contextWith(folder, { signal: controller.signal }));
    await expect(waiting).rejects.toThrow("enough");
  });

  it("removes a file with a wrong checksum", async ({ folder }) => {
    const altered = Uint8Array.from(content).fill(0, 5, 6);
    await using server = await serve((request, response) => send(altered, request, response));
    const reason = `its MD5 is ${md5Of(altered).value} instead of ${md5Of(content).value}`;
    await expect(download(remote(server.url), file, contextWith(folder))).rejects.toThrow(reason);
    expect(existsSync(file)).toBe(false);
  });

  it("follows redirects, but not for ever", async ({ folder }) => {
    await using server = await serve((request, response) => {
      const hop = Number(/\d+$/.exec(request.url ?? "")?.[0] ?? 0);
      if (request.url?.startsWith("/round")) response.writeHead(302, { location: "/round" }).end();
      else if (hop > 0) response.writeHead(307, { location: `/hop${hop - 1}` }).end();
      else send(content, request, response);
    });
    await download({ ...remote(server.url), url: `${server.url}/hop5` }, file, contextWith(folder));
    expect(readFileSync(file).equals(content)).toBe(true);
    rmSync(file);
    const endless = download({ ...remote(server.url), url: `${server.url}/round` }, file, contextWith(folder));
    await expect(endless).rejects.toThrow("more than 5 redirects");
  });

  it("keeps the bytes of an encoded body as they are on the server", async ({ folder }) => {
    await using server = await serve((request, response) => {
      response.setHeader("content-encoding", "gzip");
      send(content, request, response);
    });
    await download(remote(server.url), file, contextWith(folder));
    expect(readFileSync(file).equals(content)).toBe(true);
  });

  it("says why a server's answer is of no use", async ({ folder }) => {
    await using server = await serve((request, response) => {
      if (request.url === "/missing") response.writeHead(404).end("no");
      else if (request.url === "/short") send(content.subarray(1), request, response);
      else if (request.url === "/elsewhere") response.writeHead(302, { location: "file:///etc/passwd" }).end();
      else {
        response.write(content);
        response.end("and more");
      }
    });
    const from = (path: string) =>
      download({ ...remote(server.url), url: server.url + path }, file, contextWith(folder));
    await expect(from("/missing")).rejects.toThrow("HTTP status 404");
    await expect(from("/short")).rejects.toThrow("it has 299999 bytes instead of 300000");
    await expect(from("/elsewhere")).rejects.toThrow('"file:///etc/passwd" is no http(s) address');
    await expect(from("/endless")).rejects.toThrow("it has more than 300000 bytes");
  });

  it("gives up on a server that falls silent, and keeps what came", async ({ folder }) => {
    await using server = await serve((_, response) => {
      response.writeHead(206, { "content-range": `bytes 10-299999/300000` });
      response.flushHeaders();
    });
    writeFileSync(file, content.subarray(0, 10));
    const waiting = download(remote(server.url), file, contextWith(folder, { stallTimeout: 100 }));
    await expect(waiting).rejects.toThrow("no data for 0.1 s");
    expect(readFileSync(file)).toEqual(Buffer.from(content.subarray(0, 10)));
  });

  it("gives up on a host that never completes a connection, or refuses it", async ({ folder }) => {
    const silent = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    const from = download(remote(`https://127.0.0.1:${port}`), file, contextWith(folder, { connectTimeout: 100 }));
    await expect(from).rejects.toThrow("no connection within 0.1 s");
    await new Promise((resolve) => silent.close(resolve));
    await expect(download(remote(`http://127.0.0.1:${port}`), file, contextWith(folder))).rejects.toThrow(
      "ECONNREFUSED",
    );
  });

  it("stops at once when it is aborted, and keeps what came", async ({ folder }) => {
    const controller = new AbortController();
    await using server = await serve((_, response) => response.write(content.subarray(0, 1000)));
    const context = contextWith(folder, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(download(remote(server.url), file, context)).rejects.toThrow("enough");
    expect(readFileSync(file)).toEqual(Buffer.from(content.subarray(0, 1000)));
  });
});
