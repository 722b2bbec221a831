import { expect, it } from "vitest";
import { addressOf, distUrl } from "./dist-url.js";

it.each([
  ["tcp://10.0.0.1:2222", { host: "10.0.0.1", port: 2222 }],
  ["tcp://node-0.cluster.local:1", { host: "node-0.cluster.local", port: 1 }],
  ["tcp://[::1]:65535", { host: "::1", port: 65535 }],
  ["tcp://[fe80::1%eth0]:29500", { host: "fe80::1%eth0", port: 29500 }],
])("reads the address of %s", (url, address) => {
  expect(addressOf(url)).toEqual(address);
  expect(distUrl().fromText(` ${url} `)).toBe(url);
  expect(distUrl().fromJson(url)).toBe(url);
});

it.each([
  "tcp://a",
  "tcp://a:0",
  "tcp://a:65536",
  "tcp://:1",
  "udp://a:1",
  "tcp://a:1/x",
  "a:1",
  "tcp://[a]:1",
  "tcp://::1:1",
  "tcp://[10.0.0.1]:1",
  "file:///tmp/f",
  "",
])("refuses %s", (url) => expect(distUrl().fromText(url)).toBeUndefined());

it("takes env://, which is no address", () => {
  expect(distUrl().fromText("env://")).toBe("env://");
  expect(addressOf("env://")).toBeNull();
  expect(distUrl().fromJson(1)).toBeUndefined();
});
