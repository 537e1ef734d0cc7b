// <odcm-spaces data-src="https://odcm.example" data-person="Users-1"> is the menu of Spaces that any page may show:
//
//   <script type="module" src="https://odcm.example/spaces.js"></script>
//
// It asks ODCM who is signed in there and which Spaces they may enter; ODCM answers only to pages of its Spaces. What was
// known last is shown at once, and for as long as ODCM does not answer. It is kept by data-person, whoever the page says is
// signed in, so that the next person at this browser sees none of it; without data-person it goes with the tab.

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
  :host { display: inline-block; position: relative; font: 400 .875rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
    --surface: light-dark(#ffffff, #1a1e26); --hover: light-dark(#eef0f4, #262c37); --line: light-dark(#e2e5ea, #303744);
    --text: light-dark(#15181e, #e8ebf1); --muted: light-dark(#565e6c, #a0a8b6); --accent: light-dark(#2857d0, #86a9ff); color: var(--text); }
  :host([hidden]) { display: none; }
  * { box-sizing: border-box; }
  button, input { font: inherit; color: inherit; }
  .open { display: flex; align-items: center; gap: .4rem; max-width: min(15rem, 100%); padding: .3rem .55rem; border: 1px solid var(--line); border-radius: 7px;
    background: var(--surface); cursor: pointer; }
  .open:hover, li:hover, li[aria-selected=true] { background: var(--hover); }
  .open span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  svg { width: 1rem; height: 1rem; flex: none; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
  .menu { position: fixed; inset: auto; margin: 0; padding: .5rem; width: min(22rem, calc(100vw - 1rem)); max-height: min(32rem, calc(100dvh - 5rem));
    overflow: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--surface); color: var(--text);
    box-shadow: 0 12px 36px light-dark(rgb(18 24 40 / .16), rgb(0 0 0 / .6)); }
  input { width: 100%; padding: .4rem .6rem; border: 1px solid var(--line); border-radius: 7px; background: transparent; }
  h3 { margin: .6rem .5rem .2rem; font-size: .75rem; font-weight: 600; color: var(--muted); }
  ul { margin: 0; padding: 0; list-style: none; }
  li { display: flex; align-items: center; gap: .25rem; border-radius: 7px; }
  li a { flex: 1; min-width: 0; display: flex; align-items: center; gap: .55rem; padding: .4rem .5rem; color: inherit; text-decoration: none; }
  li a span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  li a small { margin-inline-start: auto; color: var(--muted); font-size: .75rem; flex: none; }
  .dot { width: .5rem; height: .5rem; border-radius: 50%; flex: none; background: light-dark(#9aa2af, #5f6878); }
  .dot[data-status=online] { background: light-dark(#1fa463, #2fb877); }
  .dot[data-status=degraded], .dot[data-status=draining], .dot[data-status=maintenance] { background: light-dark(#e08a00, #e8a02e); }
  .dot[data-status=offline] { background: light-dark(#dc3a36, #ef5a54); }
  .star { display: grid; place-items: center; width: 2rem; height: 2rem; border: 0; border-radius: 7px; background: none; color: var(--muted); cursor: pointer; }
  .star[aria-pressed=true] { color: light-dark(#b06f00, #f9c06a); }
  .star[aria-pressed=true] svg { fill: currentColor; }
  .note { margin: .5rem; color: var(--muted); }
  .note a { color: var(--accent); }
  @media (pointer: coarse) { li a, .star, .open { min-height: 2.75rem; } .star { width: 2.75rem; } }
`);

const icons = {
  layers: "M12 3 3 8l9 5 9-5-9-5Z M3 13l9 5 9-5",
  down: "m8 10 4 4 4-4",
  star: "m12 3.5 2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.7l5.9-.8Z",
};

function icon(name) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", icons[name]);
  svg.append(path);
  return svg;
}

function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

const groups = [["starred", "Starred"], ["recent", "Recent"], ["others", "Spaces"]];
const patience = 4000; // milliseconds that ODCM may take before what is known is shown as that

class OdcmSpaces extends HTMLElement {
  #answer = null; // {starred, recent, others, more, at}: what ODCM said last, and when
  #state = "asking"; // "fresh", "stale" (ODCM does not answer), "stranger" (nobody is signed in there)
  #found = null; // the answer to what is typed, where the list is longer than the menu
  #parts = {};
  #asked = 0;
  #typing;

  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const name = element("span", {}, "Spaces");
    const open = element("button", { class: "open", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false" }, icon("layers"), name, icon("down"));
    const search = element("input", { type: "text", placeholder: "Find a Space", role: "combobox", "aria-label": "Find a Space", "aria-expanded": "true",
      "aria-controls": "list", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" });
    const list = element("div", { id: "list", role: "listbox", "aria-label": "Spaces" });
    const note = element("p", { class: "note", role: "status", hidden: "" });
    const menu = element("div", { class: "menu", popover: "auto", role: "dialog", "aria-label": "Spaces" }, search, list, note);
    root.append(open, menu);
    this.#parts = { open, name, menu, search, list, note };
    open.addEventListener("click", () => menu.togglePopover());
    menu.addEventListener("toggle", (e) => this.#toggled(e.newState === "open"));
    search.addEventListener("input", () => this.#typed());
    menu.addEventListener("keydown", (e) => this.#key(e));
    this.#answer = this.#remembered();
    this.#draw();
    this.#ask();
  }

  get #source() { return new URL(this.dataset.src || "", location.href).origin; }
  get #store() { return this.dataset.person ? localStorage : sessionStorage; }
  get #place() { return `odcm-spaces ${this.#source} ${this.dataset.person || ""}`; }

  #remembered() {
    try { return JSON.parse(this.#store.getItem(this.#place)); } catch { return null; }
  }

  #remember(answer) {
    try {
      if (answer) this.#store.setItem(this.#place, JSON.stringify(answer));
      else this.#store.removeItem(this.#place);
    } catch { /* a full or forbidden store only costs the memory */ }
  }

  async #ask() {
    this.#asked = Date.now();
    try {
      const got = await this.#fetch("/switcher/spaces");
      if (got.ok) {
        this.#answer = { ...await got.json(), at: Date.now() };
        this.#state = "fresh";
        this.#remember(this.#answer);
      } else if (got.status === 401 || got.status === 403) {
        this.#answer = null;
        this.#state = "stranger";
        this.#remember(null);
      } else {
        this.#state = "stale";
      }
    } catch {
      this.#state = "stale";
    }
    this.#draw();
  }

  #fetch(path, method = "GET") {
    return fetch(this.#source + path, { method, mode: "cors", credentials: "include", signal: AbortSignal.timeout(patience) });
  }

  #toggled(open) {
    const { open: button, menu, search } = this.#parts;
    button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const at = button.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.top = `${at.bottom + 6}px`;
    search.value = "";
    this.#found = null;
    this.#draw();
    search.focus();
    if (Date.now() - this.#asked > 10000) this.#ask();
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#found = null;
    this.#draw();
    const text = this.#parts.search.value.trim();
    if (!text || !this.#answer?.more) return;
    this.#typing = setTimeout(async () => {
      try {
        const got = await this.#fetch(`/switcher/spaces?q=${encodeURIComponent(text)}`);
        if (!got.ok || this.#parts.search.value.trim() !== text) return;
        this.#found = await got.json();
        this.#draw();
      } catch { /* what is known is shown already */ }
    }, 150);
  }

  #key(e) {
    const links = [...this.#parts.list.querySelectorAll("li")];
    const at = links.findIndex((l) => l.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step && links.length) {
      e.preventDefault();
      this.#select(links, (at + step + links.length) % links.length);
    } else if (e.key === "Enter" && e.target === this.#parts.search && links.length) {
      e.preventDefault();
      links[Math.max(at, 0)].querySelector("a").click();
    }
  }

  #select(links, at) {
    links.forEach((l, i) => l.setAttribute("aria-selected", String(i === at)));
    this.#parts.search.setAttribute("aria-activedescendant", links[at].id);
    links[at].scrollIntoView({ block: "nearest" });
  }

  async #star(space, on) {
    try {
      const got = await this.#fetch(`/switcher/spaces/${encodeURIComponent(space.id)}/star?on=${on}`, "POST");
      if (got.ok) await this.#ask();
    } catch {
      this.#state = "stale";
      this.#draw();
    }
  }

  #draw() {
    const { name, list, note, search } = this.#parts;
    const shown = this.#found || this.#answer;
    const text = search.value.trim().toLowerCase();
    const here = groups.flatMap(([key]) => this.#answer?.[key] || []).find((s) => this.#isHere(s));
    name.textContent = here ? here.name : "Spaces";
    list.replaceChildren();
    let count = 0;
    for (const [key, label] of groups) {
      const spaces = (shown?.[key] || []).filter((s) => !text || s.name.toLowerCase().includes(text));
      if (!spaces.length) continue;
      const items = spaces.map((s) => this.#item(s, `space-${count++}`));
      list.append(element("div", { role: "group", "aria-label": label }, element("h3", { "aria-hidden": "true" }, label), element("ul", { role: "presentation" }, ...items)));
    }
    note.replaceChildren();
    note.append(...this.#says(count, text));
    note.hidden = !note.hasChildNodes();
  }

  #isHere(space) {
    try { return new URL(space.url).origin === location.origin && (!this.dataset.space || space.octopusSpace === this.dataset.space); } catch { return false; }
  }

  #item(space, id) {
    const starred = this.#answer?.starred?.some((s) => s.id === space.id) ?? false;
    // ODCM remembers who went where, and leads on. While it does not answer, the way is direct.
    const href = this.#state === "stale" ? space.url : this.#source + space.href;
    const link = element("a", { href: /^https?:/.test(href) ? href : "#", tabindex: "-1" }, element("i", { class: "dot", "data-status": space.status }), element("span", {}, space.name),
      element("small", {}, this.#isHere(space) ? "here" : space.status));
    const star = element("button", { class: "star", type: "button", "aria-pressed": String(starred), "aria-label": `Star ${space.name}` }, icon("star"));
    star.addEventListener("click", () => this.#star(space, !starred));
    return element("li", { id, role: "option", "aria-selected": "false", "aria-label": `${space.name}, ${space.status}` }, link, star);
  }

  #says(count, text) {
    const odcm = element("a", { href: this.#source + "/" }, "ODCM");
    if (this.#state === "stranger") return ["You are not signed in to ", odcm, "."];
    if (this.#state === "stale") {
      const at = this.#answer?.at ? new Date(this.#answer.at) : null;
      return [at ? `ODCM does not answer. This is what it said at ${at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}.` : "ODCM does not answer."];
    }
    if (count) return [];
    if (this.#state === "asking") return ["Asking ODCM…"];
    return [text ? `No Space has “${text}” in its name.` : "You may not enter any Space yet. Ask an administrator of ODCM."];
  }
}

if (!customElements.get("odcm-spaces")) customElements.define("odcm-spaces", OdcmSpaces);
