import { defineConfig, type Plugin } from "vite";

/** The built page asks nobody but its own host for anything; the browser holds it to that. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const policy: Plugin = {
  name: "content-security-policy",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" },
  ],
};

export default defineConfig({
  // From any static host, in any folder of it.
  base: "./",
  // What is missing is missing, not the page once more.
  appType: "mpa",
  // What scripts/samples.mjs made.
  publicDir: "build/public",
  plugins: [policy],
  server: { fs: { allow: ["../.."] } },
  worker: { format: "es" },
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
});
