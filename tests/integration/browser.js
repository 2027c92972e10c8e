// browser.js - a headless Chromium for tests, driven through a pipe (--remote-debugging-pipe): no package of npm, no port.
//
//     const browser = await start("/usr/bin/chromium", folder);
//     const page = await browser.open(url, {width: 1280, height: 800});
//     await page.until("document.title === 'x'");
//     await browser.close();
"use strict";

const {spawn} = require("node:child_process");
const {writeFileSync} = require("node:fs");

const COMMAND_MS = 60000;
const PATIENCE_MS = 1000 * Number(process.env.PATIENCE_S ?? 120);
const LOOK_MS = 100;

class Page {
  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    this.complaints = []; // what the console says that is an error or a warning, and what was not caught
  }

  send(method, parameters) {
    return this.browser.send(method, parameters, this.session);
  }

  take({method, params}) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type))
      this.complaints.push(params.args.map((a) => a.value ?? a.description).join(" "));
    if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level)) this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
  }

  // The value of an expression, which may be a promise.
  async value(expression) {
    const answer = await this.send("Runtime.evaluate", {expression, awaitPromise: true, returnByValue: true});
    if (answer.exceptionDetails) throw new Error(`${expression}: ${answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text}`);
    return answer.result.value;
  }

  async until(expression) {
    const end = Date.now() + PATIENCE_MS;
    while (!(await this.value(expression))) {
      if (Date.now() > end) throw new Error(`waited in vain for: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  size(width, height) {
    return this.send("Emulation.setDeviceMetricsOverride", {width, height, deviceScaleFactor: 1, mobile: width < 700});
  }

  // `features`: {"prefers-color-scheme": "dark"}
  media(features) {
    return this.send("Emulation.setEmulatedMedia", {features: Object.entries(features).map(([name, value]) => ({name, value}))});
  }

  async press(key) {
    for (const type of ["keyDown", "keyUp"]) await this.send("Input.dispatchKeyEvent", {type, key, code: key, windowsVirtualKeyCode: {Tab: 9, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40, " ": 32}[key] ?? 0});
  }

  // The whole page, however long.
  async picture(file) {
    const {cssContentSize: size} = await this.send("Page.getLayoutMetrics");
    const clip = {x: 0, y: 0, width: size.width, height: size.height, scale: 1};
    const {data} = await this.send("Page.captureScreenshot", {format: "png", captureBeyondViewport: true, clip});
    writeFileSync(file, Buffer.from(data, "base64"));
  }
}

class Browser {
  #process;
  #waiting = new Map();
  #pages = new Map();
  #last = 0;
  #rest = Buffer.alloc(0);

  constructor(process) {
    this.#process = process;
    process.stdio[4].on("data", (bytes) => this.#read(bytes));
    process.on("exit", () => {
      for (const {reject} of this.#waiting.values()) reject(new Error("the browser has ended"));
    });
  }

  // Messages end with a zero.
  #read(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (let end; (end = this.#rest.indexOf(0)) >= 0;) {
      const message = JSON.parse(this.#rest.subarray(0, end).toString());
      this.#rest = this.#rest.subarray(end + 1);
      const asked = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (asked && message.error) asked.reject(new Error(message.error.message));
      else if (asked) asked.resolve(message.result);
      else this.#pages.get(message.sessionId)?.take(message);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method} is not answered`)), COMMAND_MS);
      const end = (how) => (value) => {
        clearTimeout(timer);
        how(value);
      };
      this.#waiting.set(id, {resolve: end(resolve), reject: end(reject)});
      this.#process.stdio[3].write(`${JSON.stringify({id, method, params, sessionId})}\0`);
    });
  }

  async open(url, {width, height, media = {}}) {
    const {targetId} = await this.send("Target.createTarget", {url: "about:blank"});
    const {sessionId} = await this.send("Target.attachToTarget", {targetId, flatten: true});
    const page = new Page(this, sessionId);
    this.#pages.set(sessionId, page);
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    await page.size(width, height);
    await page.media(media);
    await page.send("Page.navigate", {url});
    return page;
  }

  async close() {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.send("Browser.close").catch(() => {});
    await ended;
  }
}

// `folder` holds its profile. Never the user's own, and nothing is asked of the network.
async function start(program, folder) {
  const flags = ["--headless=new", "--remote-debugging-pipe", `--user-data-dir=${folder}`, "--no-first-run", "--no-default-browser-check",
    "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-device-scale-factor=1", ...(process.getuid() === 0 ? ["--no-sandbox"] : []), "about:blank"];
  const child = spawn(program, flags, {stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"]});
  process.on("exit", () => child.kill("SIGKILL"));
  const browser = new Browser(child);
  await browser.send("Browser.getVersion");
  return browser;
}

module.exports = {start};
