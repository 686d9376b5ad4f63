// What the report page must do in a real browser: node check.mjs report.html. The page is the one that ../browser.rs makes.

import assert from "node:assert/strict";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { findBrowser, start } from "./chromium.mjs";

const path = findBrowser();
if (!path) {
  console.log("skipped: no Chromium on the PATH (set CHROMIUM to its path)");
  process.exit(0);
}
const url = pathToFileURL(resolve(process.argv[2])).href;
const browser = await start(path);
const page = await browser.open();

const settle = () => page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
const text = (selector) => page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent`);
const number = (selector) => page.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
const set = async (selector, value, event) => {
  await page.evaluate(`(() => { const node = document.querySelector(${JSON.stringify(selector)}); node.value = ${JSON.stringify(value)}; node.dispatchEvent(new Event("${event}", { bubbles: true })); })()`);
  await settle();
};
const click = async (selector) => { await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`); await settle(); };
const hover = async (selector) => {
  const [x, y] = await page.evaluate(`(() => { const node = document.querySelector(${JSON.stringify(selector)}); node.scrollIntoView({ block: "center" }); const box = node.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2]; })()`);
  await page.hover(x, y);
  await settle();
};

const checks = {
  async "the overview has every method with its interval"() {
    const rows = await page.evaluate("[...document.querySelectorAll('#overview tbody')][0].innerText");
    assert.match(rows, /cdpo\s+60\.0\s+46\.2 – 72\.4/);
    assert.match(rows, /\+20\.0\s.*\(10 : 0\)/);
  },
  async "method toggles take lines away in every chart and bring them back"() {
    const lines = () => number("#curves figure:first-child path.line:not(.raw)");
    assert.equal(await lines(), 2);
    await click("[data-method='dpo']");
    assert.equal(await lines(), 1);
    await click("[data-method='cdpo']");
    assert.match(await text("#curves figure:first-child .plot"), /every method is switched off/);
    await click("[data-method='dpo']");
    await click("[data-method='cdpo']");
    assert.equal(await lines(), 2);
  },
  async "hovering a chart tells the values of every method"() {
    await hover("#curves figure:first-child svg");
    const read = await text("#curves figure:first-child .readout");
    assert.equal(await page.evaluate("document.querySelector('#curves figure:first-child .readout').hidden"), false);
    assert.match(read, /step \d+/);
    assert.match(read, /dpo−?\d/);
    assert.match(read, /cdpo\d/);
  },
  async "arrow keys read a chart"() {
    await page.evaluate("document.querySelector('#curves figure:first-child svg').focus()");
    await page.press("End");
    assert.match(await text("#curves figure:first-child .readout"), /step 40/);
    await page.press("ArrowLeft");
    assert.match(await text("#curves figure:first-child .readout"), /step 39/);
    await page.press("Escape");
    await page.evaluate("document.activeElement.blur()");
  },
  async "a chart's numbers open as a table"() {
    await page.evaluate("document.querySelector('#curves details').open = true");
    await settle();
    assert.equal(await number("#curves details tbody tr"), 40);
  },
  async "a thousand responses draw only the rows in view"() {
    assert.equal(await text("#shown-count"), "1,000 of 1,000");
    assert.ok(await number(".row") < 40, "rows drawn");
    for (const top of [10000, 40000, 65000, 0]) {
      await page.evaluate(`document.getElementById("list").scrollTop = ${top}`);
      await settle();
      assert.ok(await number(".row") < 40, "rows drawn after scrolling");
      const first = await page.evaluate("Number(document.querySelector('.row').dataset.index)");
      assert.ok(Math.abs(first - top / 66) < 12, `row ${first} at ${top}`);
    }
    assert.ok(await number("*") < 2500, "elements of the page");
  },
  async "only the chosen response's tokens are drawn"() {
    assert.equal(await number("[data-token]"), 301);
    assert.equal(await number("#tokens .critical"), 1);
    assert.equal(await number("#tokens .definition"), 1);
    assert.equal(await number("#tokens .end"), 1);
  },
  async "hovering a token tells its numbers, its rank and three alternatives"() {
    await hover("[data-token='7']");
    assert.equal(await page.evaluate("document.querySelector('.card').hidden"), false);
    const card = await page.evaluate("document.querySelector('.card').innerText");
    for (const part of ["8 of 300", "1 − s", "0.0500", "P, positive model", "0.607", "P, negative model", "0.223", "rank, positive model", "3 of 64", "0.600", "0.300", "0.050"]) {
      assert.ok(card.includes(part), `${part} in ${card}`);
    }
    await page.hover(2, 2);
    await settle();
    assert.equal(await page.evaluate("document.querySelector('.card').hidden"), true);
  },
  async "keys go through responses and tokens"() {
    await page.press("j");
    await settle();
    assert.equal(await text(".detail h3"), "train/1#2");
    await page.press("j");
    await page.press("k");
    await settle();
    assert.equal(await text(".detail h3"), "train/1#2");
    await page.press("c");
    assert.equal(await page.evaluate("document.querySelector('#tokens .on').dataset.token"), "37");
    await page.press("ArrowRight");
    assert.equal(await page.evaluate("document.querySelector('#tokens .on').dataset.token"), "38");
    await page.press("ArrowLeft");
    await page.press("ArrowLeft");
    assert.equal(await page.evaluate("document.querySelector('#tokens .on').dataset.token"), "36");
    await page.press("Escape");
    assert.equal(await number("#tokens .on"), 0);
    await page.evaluate("document.getElementById('list').focus()");
    await page.press("End");
    await settle();
    assert.equal(await text(".detail h3"), "train/999#2");
    assert.ok(await page.evaluate("!!document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant'))"), "the chosen row is drawn");
    await page.press("Home");
    await settle();
    await page.press("/");
    assert.equal(await page.evaluate("document.activeElement.id"), "search");
  },
  async "filters by question, verdict, score and rollouts"() {
    await set("#search", "APPLES train/77#", "input");
    assert.equal(await text("#shown-count"), "1 of 1,000");
    assert.equal(await text(".detail h3"), "train/77#2");
    assert.match(await text(".question"), /how many <b>apples<\/b> are/, "markup in a question is text");
    await set("#search", "", "input");
    await set("#verdict", "no answer found", "change");
    assert.equal(await text("#shown-count"), "100 of 1,000");
    await set("#verdict", "", "change");
    await set("#least", "0.5", "input");
    assert.equal(await text("#shown-count"), "750 of 1,000");
    await set("#kind", "both", "change");
    assert.equal(await text("#shown-count"), "250 of 1,000");
    await set("#search", "there is no such question", "input");
    assert.match(await text(".list"), /No solution fits/);
    assert.match(await text(".detail"), /No solution fits/);
    await set("#search", "", "input");
    await set("#kind", "", "change");
    await set("#least", "0", "input");
    await set("#order", "score", "change");
    assert.equal(await text(".row .head span:last-child"), "0.900");
    await set("#order", "file", "change");
    assert.equal(await text("#shown-count"), "1,000 of 1,000");
  },
  async "the theme follows the system and the button"() {
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    await page.screen(1400, 900, "light");
    const light = await background();
    await page.screen(1400, 900, "dark");
    const dark = await background();
    assert.notEqual(light, dark);
    await click("#theme");
    assert.equal(await background(), light);
    await page.screen(1400, 900, "light");
    await click("#theme");
    assert.equal(await background(), dark);
    await click("#theme");
    assert.equal(await background(), light);
  },
  async "text has a contrast of at least 4.5 in both themes"() {
    const worst = `(() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const rgba = (colour, under) => { canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)]; };
      const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = (node) => node ? "rgb(" + rgba(getComputedStyle(node).backgroundColor, ground(node.parentElement)) + ")" : "white";
      let worst = [99, ""];
      for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.getClientRects().length || node.closest("script, noscript, [hidden]") || node.disabled) continue;
        const under = ground(node), style = getComputedStyle(node);
        const front = rgba(node.namespaceURI.endsWith("svg") ? style.fill : style.color, under), back = under.match(/\\d+/g).map(Number);
        const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < worst[0]) worst = [contrast, node.className + ": " + node.textContent.slice(0, 40)];
      }
      return worst;
    })()`;
    for (const theme of ["light", "dark"]) {
      await page.screen(1400, 900, theme);
      await settle();
      const [contrast, where] = await page.evaluate(worst);
      assert.ok(contrast >= 4.5, `${theme}: ${contrast.toFixed(2)} at ${where}`);
    }
    await page.screen(1400, 900, "light");
  },
  async "no width makes the page itself scroll sideways"() {
    for (const width of [320, 390, 820, 1400]) {
      await page.screen(width, 844, "light", width < 500);
      await settle();
      const over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
      const widest = `[...document.querySelectorAll("body *")].filter((n) => n.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !n.parentElement.closest(".scroll, nav")).map((n) => n.tagName + "." + n.className).slice(0, 3).join()`;
      assert.ok(over <= 0, `${over} pixels too wide at ${width}: ${await page.evaluate(widest)}`);
    }
    await page.screen(1400, 900, "light");
  },
  async "a link to a response opens it"() {
    await page.load("about:blank");
    await page.load(url + "#trajectory/" + encodeURIComponent("train/500#2"));
    await settle();
    assert.equal(await text(".detail h3"), "train/500#2");
  },
  async "nothing was said on the console and nothing was asked of the network"() {
    assert.deepEqual(page.errors, []);
    assert.deepEqual(page.requests.filter((request) => !request.startsWith("file:") && request !== "about:blank"), []);
    assert.ok(page.requests.every((request) => request === "about:blank" || request.split("#")[0] === url), "only the file itself");
  },
};

let failed = 0;
try {
  await page.screen(1400, 900);
  await page.load(url);
  await settle();
  for (const [claim, check] of Object.entries(checks)) {
    try {
      await check();
      console.log("ok: " + claim);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${claim}\n  ${error.message}`);
    }
  }
} finally {
  await browser.stop();
}
process.exit(failed > 0 ? 1 : 0);
