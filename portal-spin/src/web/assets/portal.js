// Conveniences only: every page works without this file.
const one = (selector) => document.querySelector(selector);
const all = (selector) => document.querySelectorAll(selector);

// Copy buttons.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  const source = button && document.getElementById(button.dataset.copy);
  if (!source) return;
  await navigator.clipboard.writeText(source.textContent.trim());
  const label = button.textContent;
  button.textContent = document.body.dataset.sayCopied;
  setTimeout(() => { button.textContent = label; }, 1500);
});
all("[data-copy]").forEach((button) => { button.hidden = false; });

// What scrolls can be reached with the keyboard.
const reach = () => all(".scroll, pre").forEach((area) => {
  if (area.scrollWidth > area.clientWidth || area.scrollHeight > area.clientHeight) area.tabIndex = 0;
  else area.removeAttribute("tabindex");
});
addEventListener("resize", reach);
reach();

// ⌘K and Ctrl-K go to the search field.
addEventListener("keydown", (event) => {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    one("#find")?.select();
  }
});

// A part of the page that changes by itself: fetched again until the server calls it settled.
const live = one("[data-live]");
const refresh = async () => {
  if (document.hidden) return setTimeout(refresh, 2000);
  try {
    const answer = await fetch(live.dataset.from || location.pathname, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    if (answer.ok && fresh && fresh.innerHTML !== one("[data-live]").innerHTML) {
      one("[data-live]").innerHTML = fresh.innerHTML;
    }
    if (!answer.ok || !fresh || fresh.dataset.live === "settled") return;
  } catch { /* the network is away: try again */ }
  setTimeout(refresh, 2000);
};
if (live && live.dataset.live !== "settled") setTimeout(refresh, 2000);

// A form that is judged while it is filled: the server says what is wrong, this only asks and shows.
// Typing leaves addresses unasked; leaving a field asks them.
const judged = one("form[data-check]");
let pause, asking;
const judge = async (isQuick) => {
  asking?.abort();
  asking = new AbortController();
  const body = new URLSearchParams(new FormData(judged));
  if (isQuick) body.set("quick", "yes");
  try {
    const answer = await fetch(judged.dataset.check, { method: "POST", body, credentials: "same-origin", signal: asking.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["checks-summary", "checks-list"]) {
      const [shown, fresh] = [document.getElementById(id), page.getElementById(id)];
      if (answer.ok && fresh && shown.innerHTML !== fresh.innerHTML) shown.innerHTML = fresh.innerHTML;
    }
  } catch { /* a newer check has taken its place, or the network is away */ }
};
const judgeSoon = (isQuick, ms) => {
  clearTimeout(pause);
  pause = setTimeout(judge, ms, isQuick);
};
judged?.addEventListener("input", () => judgeSoon(true, 600));
judged?.addEventListener("change", () => judgeSoon(false, 200));

// Rows that can be chosen: how many there are, and the box that stands for all of them.
const boxes = () => [...all("input[form=chosen][name=id]")];
const everything = one("input[form=chosen][name=everything]");
const count = () => {
  const chosen = boxes().filter((box) => box.checked).length;
  if (everything) everything.checked = chosen > 0 && chosen === boxes().length;
  const shown = one("[data-chosen]");
  if (shown) [shown.textContent, shown.hidden] = [chosen, !chosen];
};
addEventListener("change", (event) => {
  if (event.target === everything) boxes().forEach((box) => { box.checked = everything.checked; });
  if (event.target.getAttribute?.("form") === "chosen") count();
});
count();

// Keys of one letter, unless something is typed into; they can be switched off in the help.
const help = one("#keys");
const off = "portico-keys-off";
const lines = () => [...all("main tbody tr, main article.card")]
  .map((line) => line.querySelector("input[form=chosen]:not([type=hidden]), a")).filter(Boolean);
const step = (by) => {
  const stops = lines();
  const at = stops.findIndex((stop) => (stop.closest("tr, article")).contains(document.activeElement));
  stops[at < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.min(Math.max(at + by, 0), stops.length - 1)]?.focus();
};
const here = (selector) => document.activeElement.closest("tr, article")?.querySelector(selector);
const keys = {
  j: () => step(1),
  k: () => step(-1),
  x: () => here("input[form=chosen]")?.click(),
  X: () => everything?.click(),
  o: () => here("a")?.click(),
  c: () => { const form = one("details.chosen"); if (form) { form.open = true; one("#chosen :is(input:not([type=hidden]), select, button)")?.focus(); } },
  "/": () => (one("#list-q") || one("main [type=search]") || one("#find"))?.select(),
  "?": () => help?.showModal(),
};
addEventListener("keydown", (event) => {
  const typed = event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, dialog");
  if (typed || event.metaKey || event.ctrlKey || event.altKey || !keys[event.key]) return;
  if (localStorage.getItem(off) && event.key !== "?") return;
  event.preventDefault();
  keys[event.key]();
});
if (help) {
  const box = one("#keys-on");
  box.checked = !localStorage.getItem(off);
  box.addEventListener("change", () => box.checked ? localStorage.removeItem(off) : localStorage.setItem(off, "1"));
  all("[data-keys]").forEach((button) => { button.hidden = false; button.addEventListener("click", () => help.showModal()); });
}
