// A headless Chromium over its debugging pipe: no package is needed. Goes in: a file; comes out: a page that can be driven.

import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** The browser's path: $CHROMIUM, or the first of the usual names on the PATH; null if there is none. */
export function findBrowser() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of NAMES) {
      try { accessSync(join(folder, name), constants.X_OK); return join(folder, name); } catch { /* not here */ }
    }
  }
  return null;
}

/** Starts the browser. */
export async function start(browser) {
  const profile = mkdtempSync(join(tmpdir(), "cdpo-browser-"));
  const child = spawn(browser, ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const waiting = new Map(), listeners = [];
  let number = 0, held = "", ended = null;
  const fail = (reason) => { ended = new Error(reason); for (const { reject } of waiting.values()) reject(ended); waiting.clear(); };
  child.on("exit", () => fail("the browser ended"));
  child.on("error", (error) => fail(`the browser did not start: ${error.message}`));
  child.stdio[3].on("error", () => {});
  child.stdio[4].setEncoding("utf8");
  child.stdio[4].on("data", (text) => {
    const parts = (held + text).split("\0");
    held = parts.pop();
    for (const part of parts) {
      const message = JSON.parse(part);
      const call = waiting.get(message.id);
      if (call) {
        waiting.delete(message.id);
        if (message.error) call.reject(new Error(`${call.method}: ${message.error.message}`));
        else call.resolve(message.result);
      } else for (const listener of listeners) listener(message);
    }
  });
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    if (ended) { reject(ended); return; }
    const id = ++number;
    waiting.set(id, { resolve, reject, method });
    child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  });
  const stop = async () => {
    await send("Browser.close").catch(() => {});
    await new Promise((resolve) => { if (child.exitCode !== null) resolve(); else child.on("exit", resolve); });
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { open: () => open(send, listeners), stop };
}

/** A page: what it said on the console and what it asked the network for is kept. */
async function open(send, listeners) {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const call = (method, params) => send(method, params, sessionId);
  const errors = [], requests = [];
  let loaded = () => {};
  listeners.push((message) => {
    if (message.sessionId !== sessionId) return;
    const { method, params } = message;
    if (method === "Runtime.exceptionThrown") errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning"].includes(params.type)) errors.push(params.args.map((a) => a.value ?? a.description).join(" "));
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) errors.push(params.entry.text);
    if (method === "Network.requestWillBeSent") requests.push(params.request.url);
    if (method === "Page.loadEventFired") loaded();
  });
  for (const domain of ["Runtime", "Log", "Network", "Page"]) await call(domain + ".enable");
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  };
  const KEYS = { ArrowDown: 40, ArrowUp: 38, ArrowLeft: 37, ArrowRight: 39, Home: 36, End: 35, Escape: 27 };
  return {
    errors, requests, evaluate, call,
    load: async (url) => { const done = new Promise((resolve) => { loaded = resolve; }); await call("Page.navigate", { url }); await done; },
    /** Width and height in CSS pixels, theme, and whether it is a touch screen. */
    screen: async (width, height, theme = "light", mobile = false) => {
      await call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
      await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }] });
    },
    press: async (key) => {
      const text = key.length === 1 ? key : undefined;
      const code = KEYS[key] ?? key.toUpperCase().charCodeAt(0);
      for (const type of ["keyDown", "keyUp"]) await call("Input.dispatchKeyEvent", { type, key, text: type === "keyDown" ? text : undefined, windowsVirtualKeyCode: code });
    },
    hover: (x, y) => call("Input.dispatchMouseEvent", { type: "mouseMoved", x, y }),
    /** A picture of the window, or with `full` of the whole page, as PNG bytes. */
    picture: async (full = false) => {
      const { data } = await call("Page.captureScreenshot", { format: "png", captureBeyondViewport: full });
      return Buffer.from(data, "base64");
    },
  };
}
