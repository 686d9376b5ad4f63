// Puts the page together.

const report = JSON.parse(document.getElementById("data").textContent);

const theme = document.getElementById("theme");
const THEMES = ["auto", "light", "dark"];
const setTheme = (name) => {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.textContent = "Theme: " + name;
  try { localStorage.setItem("cdpo-theme", name); } catch { /* a page without storage */ }
};
theme.addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "auto";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
});
try {
  const kept = localStorage.getItem("cdpo-theme");
  if (THEMES.includes(kept)) setTheme(kept);
} catch { /* a page without storage */ }

overview(report);
curves(report);
trajectories(report);
distributions(report);
rollouts(report);

const links = new Map([...document.querySelectorAll("#nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-20% 0px -70% 0px" });
for (const id of links.keys()) seen.observe(document.getElementById(id));
