import { expect, it } from "vitest";
import { hasToken, isOwnHost } from "./access.js";

it.each([
  ["/secret/", true],
  ["/secret", true],
  ["/secret/curves", true],
  ["/secre/", false],
  ["/secrets/", false],
  ["//secret/", false],
  ["/", false],
  ["", false],
  ["/x/secret/", false],
])("of %s whether it has the token", (path, has) => {
  expect(hasToken(path, "secret")).toBe(has);
});

it.each([
  ["127.0.0.1:8080", true],
  ["localhost:8080", true],
  ["[::1]:8080", true],
  ["192.168.0.3", true],
  ["mine.example:8080", true],
  ["evil.example:8080", false],
  ["127.0.0.1.evil.example", false],
  ["", false],
  [undefined, false],
])("of the Host header %s whether it is this server's", (header, own) => {
  expect(isOwnHost(header, "mine.example")).toBe(own);
});
