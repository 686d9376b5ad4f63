// Pictures of a report at three widths in both themes: node pictures.mjs report.html FOLDER

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { findBrowser, start } from "./chromium.mjs";

const [file, folder] = process.argv.slice(2);
const path = findBrowser();
if (!path) { console.log("skipped: no Chromium on the PATH (set CHROMIUM to its path)"); process.exit(0); }
const browser = await start(path);
const page = await browser.open();
mkdirSync(folder, { recursive: true });
for (const theme of ["light", "dark"]) {
  for (const width of [390, 820, 1400]) {
    await page.screen(width, width < 500 ? 844 : 900, theme, width < 500);
    await page.load(pathToFileURL(resolve(file)).href);
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    const sections = await page.evaluate("[...document.querySelectorAll('main section')].map((s) => s.id)");
    for (const id of sections) {
      await page.evaluate(`document.documentElement.style.scrollBehavior = "auto"; document.getElementById("${id}").scrollIntoView()`);
      if (id === "trajectories") await page.press("c");
      await page.evaluate("new Promise((done) => setTimeout(done, 300))");
      writeFileSync(join(folder, `${theme}-${width}-${id}.png`), await page.picture());
    }
  }
}
for (const error of page.errors) console.log("error:", error);
await browser.stop();
