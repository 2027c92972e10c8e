// dashboard.js - drives the page of a ps for dashboard.sh: reads a command a line, does it, and answers "done" or what was
// wrong.
//
// Usage: node dashboard.js BROWSER PROFILE FILE_WITH_ADDRESS FOLDER_OF_PICTURES
"use strict";

const {readFileSync} = require("node:fs");
const {createInterface} = require("node:readline");
const {start} = require("./browser.js");

const text = (id) => `(document.getElementById("${id}")?.textContent ?? "")`;
const numberOf = (shown) => Number(shown.replace(/,/g, "").replace("−", "-").match(/-?\d+(\.\d+)?(e-?\d+)?/)?.[0] ?? NaN);
const cells = (root) => `[...document.querySelectorAll("#${root} tbody tr")].map((tr) => Object.fromEntries([...tr.children].map((c) => [c.dataset.name, c.textContent])))`;
const points = `[...document.querySelectorAll(".chart path.line")].reduce((n, p) => n + p.getAttribute("d").split("L").length, 0)`;

// What is shown, and what /status says at the same moment: those that differ, in words.
async function differences(page) {
  const address = readFileSync(page.address, "utf8").trim();
  const status = await page.value(`fetch("http://${address}/status").then((r) => r.json())`);
  const lead = await page.value(`Object.fromEntries(["state", "step", "steps", "loss", "accuracy", "test-accuracy", "rate", "recovered"].map((id) => [id, ${text("${id}").replace('"${id}"', "id")}]))`);
  const workers = await page.value(cells("workers")), shards = await page.value(cells("shards"));
  const {progress} = status;
  const found = [];
  // To the digits that are shown.
  const near = (what, shown, is) => {
    if (is === null ? shown !== "–" : !(Math.abs(numberOf(shown) - is) <= 1e-3 * Math.abs(is) + 1e-9)) found.push(`${what} is shown as '${shown}', and is ${is}`);
  };
  const exact = (what, shown, is) => is === null || numberOf(shown) === is || found.push(`${what} is shown as '${shown}', and is ${is}`);
  exact("step", lead.step, progress.step);
  exact("steps", lead.steps, progress.steps);
  near("loss", lead.loss, progress.loss);
  near("accuracy in %", lead.accuracy, progress.accuracy === null ? null : 100 * progress.accuracy);
  if (progress.test) near("test accuracy in %", lead["test-accuracy"], 100 * progress.test.accuracy);
  near("learning rate", lead.rate, progress.learning_rate);
  exact("faults recovered", lead.recovered, status.faults.recovered);
  if (workers.length !== status.workers.length) found.push(`${workers.length} workers are shown`);
  status.workers.forEach((w, i) => {
    exact(`step of worker ${i}`, workers[i].Step, w.step);
    if (!workers[i].State.startsWith(w.state.replace("_", " "))) found.push(`worker ${i} is shown as ${workers[i].State}, and is ${w.state}`);
    near(`loss of worker ${i}`, workers[i].Loss, w.loss);
    exact(`restarts of worker ${i}`, workers[i].Restarts, w.restarts);
  });
  if (shards.length !== status.servers.length) found.push(`${shards.length} shards are shown`);
  const own = shards[status.index];
  exact("the shard's step", own.Step, status.shard.version);
  exact("the shard's parameters", own.Parameters, status.shard.parameters);
  const parameters = shards.reduce((sum, s) => sum + numberOf(s.Parameters), 0);
  exact("parameters of all shards", String(parameters), status.job.parameters);
  return found;
}

// Asking a ps that is not there cannot but fail, and the browser says so itself.
const isComplaint = (complaint) => !/Failed to load resource: net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED).*\/status$/.test(complaint);

const commands = {
  waits: (page) => page.until(`document.querySelector("#state")?.dataset.state === "waiting" && document.querySelector("#pulse").dataset.state === "live"`),
  trains: (page, step) => page.until(`Number(${text("step")}.replace(/,/g, "")) >= ${step} && document.querySelector("#pulse").dataset.state === "live" && document.querySelectorAll(".heat .cell").length > 0 && ${points} > 8`),
  straggler: (page, index) => page.until(`[...document.querySelectorAll("#workers tr.straggler, #workers tr.bad")].some((tr) => tr.dataset.key === "worker ${index}" && tr.querySelector(".badge").textContent !== "")`),
  async silent(page) {
    page.before = await page.value(points);
    await page.until(`!document.getElementById("banner").hidden && /does not answer, since \\d+ s/.test(${text("banner")})`);
  },
  // A mark of a kind, or one that says something; on every curve.
  mark: (page, ...words) => page.until(`document.querySelectorAll(".chart g.mark").length >= 4 && [...document.querySelectorAll("#marks li")].some((li) => li.querySelector(".number").classList.contains("${words[0]}") || li.textContent.includes("${words.join(" ")}"))`),
  keeps: (page) => page.until(`document.getElementById("banner").hidden && document.querySelector("#pulse").dataset.state === "live" && ${points} >= ${page.before}`),
  async same(page) {
    const end = Date.now() + 60000;
    for (let found; (found = await differences(page)).length > 0;) {
      if (Date.now() > end) throw new Error(found.join("; "));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  },
  async keyboard(page) {
    await page.value(`document.querySelector(".chart svg").focus()`);
    await page.press("ArrowLeft");
    await page.press("ArrowLeft");
    await page.until(`/^step [\\d,]+$/.test(document.querySelector(".chart .where").textContent) && ${text("spoken")}.includes("training") && document.querySelectorAll(".cross").length === 4`);
    await page.press("Escape");
    await page.until(`document.querySelectorAll(".cross").length === 0`);
    await page.value(`document.querySelector("input[value=step]").focus()`);
    await page.press("ArrowRight");
    await page.until(`document.querySelector("input[value=time]").checked && document.querySelector(".chart svg").getAttribute("aria-label").includes("by time")`);
    await page.press("ArrowLeft");
    await page.until(`document.querySelector("input[value=step]").checked`);
    await page.value(`document.querySelector(".heat").focus()`);
    await page.press("ArrowLeft");
    await page.until(`document.querySelector("#heat .note").textContent.startsWith("worker 0")`);
    await page.value(`document.activeElement.blur()`);
    // Every place that the keyboard reaches can be seen to be reached.
    const reached = await page.value(`[...document.querySelectorAll("a[href], input, [tabindex]")].length`);
    if (reached < 9) throw new Error(`only ${reached} places can be reached by keyboard`);
  },
  async picture(page, name, width, height, scheme) {
    await page.size(Number(width), Number(height));
    await page.media({"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"});
    await page.value(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100))))`);
    await page.picture(`${page.folder}/${name}.png`);
    await page.size(1366, 900);
  },
  async fits(page, width) {
    await page.size(Number(width), 780);
    await page.value(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100))))`);
    const wide = await page.value("document.documentElement.scrollWidth");
    await page.size(1366, 900);
    if (wide > width) throw new Error(`${wide} pixels wide on a screen of ${width}`);
  },
  // Finished, and with the last step shown.
  ends: (page) => page.until(`${text("pulse-text")} === "ended" && document.getElementById("state").dataset.state === "finished" && document.getElementById("progress").getAttribute("aria-valuenow") === "100"`),
  // Runs that are listed as finished, chosen, and drawn over each other; and one less.
  async compares(page, ...names) {
    const drawn = `document.querySelectorAll(".chart").length === 4 && [...document.querySelectorAll(".chart")].every((chart) => chart.querySelectorAll("path.line").length >= `;
    for (const name of names)
      await page.until(`[...document.querySelectorAll("#runs tr")].some((tr) => tr.dataset.key === "${name}" && tr.querySelector(".state").dataset.state === "finished" && tr.querySelector("input").checked)`);
    await page.until(`${drawn}${names.length})`);
    await page.until(`[...document.querySelectorAll("#differences tr")].some((tr) => tr.dataset.key === "Optimizer" && tr.textContent.includes("adam") && tr.textContent.includes("sgd"))`);
    const choose = `document.querySelector('#runs tr[data-key="${names[0]}"] input')`;
    await page.value(`${choose}.focus()`);
    await page.press(" ");
    await page.until(`!${choose}.checked && [...document.querySelectorAll(".chart")].every((chart) => chart.querySelectorAll(".reading").length === ${names.length - 1})`);
    await page.press(" ");
    await page.until(`${choose}.checked && ${drawn}${names.length})`);
  },
  // What it has left: the last step, curves, both shards.
  async shows(page, name) {
    await page.value(`document.querySelector('#runs tr[data-key="${name}"] a').click()`);
    await page.until(`location.pathname === "/run" && document.getElementById("state")?.dataset.state === "finished" && document.getElementById("progress").getAttribute("aria-valuenow") === "100" && ${points} > 4`);
    const shards = await page.value(cells("shards"));
    if (shards.length !== 2 || shards.some((s) => !(numberOf(s.Parameters) > 0))) throw new Error("the shards are not shown");
  },
  // Asked for a token, which is typed, and then brought by the address; it stays in neither.
  async token(page, token) {
    const asked = `document.getElementById("token-wanted")?.hidden === false`;
    const live = `document.querySelector("#pulse")?.dataset.state === "live"`;
    const until = (what) => page.until(what).catch(() => page.until(what)); // the page may be loading anew just then
    await until(asked);
    await page.value(`document.getElementById("token").value = "wrong"; document.querySelector("#token-given button").click()`);
    await until(`document.readyState === "complete" && document.getElementById("token")?.value === "" && ${asked}`);
    await page.value(`document.getElementById("token").value = "${token}"; document.querySelector("#token-given button").click()`);
    await until(`document.getElementById("token")?.value === "" && ${live} && !(${asked})`);
    await page.value(`sessionStorage.clear(); location.href = "/#token=${encodeURIComponent(token)}"; location.reload()`);
    await until(`location.hash === "" && ${live} && sessionStorage.length === 1`);
  },
  async clean(page) {
    const complaints = page.complaints.filter(isComplaint);
    if (complaints.length > 0) throw new Error(`the console says: ${complaints.join(" | ")}`);
  },
};

async function main() {
  const [program, profile, address, folder] = process.argv.slice(2);
  const browser = await start(program, profile);
  const page = await browser.open(`http://${readFileSync(address, "utf8").trim()}/`, {width: 1366, height: 900, media: {"prefers-color-scheme": "light"}});
  Object.assign(page, {folder, address});
  for await (const line of createInterface({input: process.stdin})) {
    const [command, ...rest] = line.split(" ");
    try {
      await commands[command](page, ...rest);
      console.log("done");
    } catch (error) {
      await page.picture(`${folder}/failed-${command}.png`).catch(() => {});
      console.log(String(error.message).replace(/\s+/g, " "));
    }
  }
  await browser.close();
}

main().catch((error) => {
  console.log(String(error.message).replace(/\s+/g, " "));
  process.exit(1);
});
