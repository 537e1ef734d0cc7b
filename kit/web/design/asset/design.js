// What pages do beyond links and forms: fragments that change by themselves, forms that show errors in place, the
// command palette, dialogs, relative times, toasts. Pages work without it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (type, f, options) => document.addEventListener(type, f, options);
  const asked = { "X-Odcm-Fetch": "1" }; // the server answers errors as problem+json and redirects by a header
  const wait = (ms, f, timer) => () => { clearTimeout(timer); timer = setTimeout(f, ms); };

  // --- putting new HTML in the place of old, without losing focus, input or open menus ---

  const keyOf = (n) => n.nodeType === 1 ? n.id || n.dataset.live || "" : "";

  function morph(from, to) {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || keyOf(from) !== keyOf(to)) {
      from.replaceWith(to);
      return to;
    }
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return from;
    }
    if (from.isEqualNode(to) || from.hasAttribute("data-keep")) return from;
    const mine = (name) => name === "open" && /^(DETAILS|DIALOG)$/.test(from.nodeName); // people open, servers do not
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !mine(name)) from.removeAttribute(name);
    for (const { name, value } of [...to.attributes]) {
      if (from.getAttribute(name) !== value && !mine(name)) from.setAttribute(name, value);
    }
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(from.nodeName)) {
      if (from !== document.activeElement && !from.dataset.touched && "value" in to && from.value !== to.value) from.value = to.value;
      if (from.nodeName !== "SELECT") return from;
    }
    const old = [...from.childNodes];
    for (const child of [...to.childNodes]) {
      const i = old.findIndex((o) => o.nodeType === child.nodeType && o.nodeName === child.nodeName && keyOf(o) === keyOf(child));
      if (i < 0) {
        from.insertBefore(child, old[0] || null);
        continue;
      }
      const [match] = old.splice(i, 1);
      if (i > 0) from.insertBefore(match, old[0]);
      morph(match, child);
    }
    old.forEach((o) => o.remove());
    return from;
  }

  const parse = (html) => {
    const t = document.createElement("template");
    t.innerHTML = html;
    return t.content;
  };

  // --- fragments that change by themselves: one event stream for the tab ---

  let stream, streamed = "", since = document.body.dataset.since || "", failures = 0, reconnecting;

  function topics() {
    const byName = new Map();
    const add = (topic) => {
      const [name, id] = topic.split(/\/(.*)/s);
      if (!byName.has(name)) byName.set(name, new Set());
      byName.get(name).add(id || "");
    };
    $$("[data-live]").forEach((e) => add(e.dataset.live));
    $$("[data-live-region]").forEach((e) => e.dataset.liveRegion.split(/\s+/).filter(Boolean).forEach(add));
    const query = new URLSearchParams();
    for (const [name, ids] of [...byName].sort()) {
      if (ids.delete("")) query.append("topic", name);
      if (ids.size) query.append("topic", name + "/" + [...ids].sort().join(","));
    }
    return query;
  }

  function connect() {
    const query = topics();
    const wanted = query.toString();
    if (wanted === streamed && stream && stream.readyState !== EventSource.CLOSED) return;
    stream?.close();
    clearTimeout(reconnecting);
    streamed = wanted;
    if (!wanted) return;
    if (since) query.append("since", since);
    stream = new EventSource("/live?" + query);
    const listen = (type, f) => stream.addEventListener(type, (e) => { since = e.lastEventId || since; hear(); f(e.data); });
    listen("swap", (data) => {
      const end = data.indexOf("\n");
      swap(data.slice(0, end), data.slice(end + 1));
    });
    listen("gone", (topic) => $$(`[data-live="${CSS.escape(topic)}"]`).forEach((e) => e.remove()));
    listen("refresh", refresh);
    listen("signed-out", () => location.reload());
    stream.addEventListener("ping", hear);
    stream.onopen = () => { failures = 0; hear(); };
    stream.onerror = () => {
      lost();
      if (stream.readyState !== EventSource.CLOSED) return; // it tries again by itself
      reconnecting = setTimeout(() => { streamed = ""; connect(); }, Math.min(30000, 1000 * 2 ** failures++) * (0.5 + Math.random()));
    };
  }

  // The server says every 15 seconds that it is there: a stream that breaks without a word looks like a quiet one.
  let heard = Date.now(), lostAt = 0;
  const silence = 40000;
  function hear() {
    heard = Date.now();
    lostAt = 0;
    document.documentElement.removeAttribute("data-disconnected");
  }
  function lost() {
    document.documentElement.setAttribute("data-disconnected", "");
    lostAt ||= heard;
    $$("[data-stale-since]").forEach((e) => { e.textContent = "since " + new Date(lostAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }); });
  }
  setInterval(() => {
    if (!stream || Date.now() - heard < silence) return;
    lost();
    streamed = "";
    stream.close();
    heard = Date.now() - silence / 2; // time to try
    connect();
  }, 5000);

  // What is pushed while the page is read again is newer than what is read: it is put in place once more afterwards.
  const readers = new Set();
  async function reader(f) {
    const missed = new Map();
    readers.add(missed);
    try { await f(() => { readers.delete(missed); missed.forEach((html, topic) => swap(topic, html)); }); } finally { readers.delete(missed); }
  }

  function swap(topic, html) {
    readers.forEach((missed) => missed.set(topic, html));
    for (const old of $$(`[data-live="${CSS.escape(topic)}"]`)) {
      const made = parse(html).firstElementChild;
      if (!made) continue;
      made.dataset.live = topic;
      const state = $("[data-state]", old)?.dataset.state, order = old.dataset.order;
      const now = morph(old, made);
      if (now.dataset.notice !== undefined) notice(now.dataset.notice);
      if (now.dataset.cells !== undefined && order === now.dataset.order) paint(now);
      else if (order !== now.dataset.order) arrange(now);
      else if (order === undefined && state !== $("[data-state]", now)?.dataset.state) blink(now);
    }
    freshen();
  }

  // notice is what is wrong, told in the tab.
  function notice(text) {
    document.title = (text ? `(${text}) ` : "") + document.title.replace(/^\([^)]*\) /, "");
    const icon = $("link[rel=icon]");
    if (icon.dataset.calm) icon.href = text ? icon.dataset.alert : icon.dataset.calm;
  }

  // arrange brings what is shown into its new order. What is not in the page yet, or no longer, is read with the page again;
  // pages take their time with it, so that a thousand do not ask at once.
  function arrange(view) {
    const lists = $$("[data-ordered]"), shown = new Map();
    lists.forEach((list) => [...list.children].forEach((e) => shown.set(e.dataset.live?.split("/")[1], e)));
    const wanted = (view.dataset.order || "").split(" ").filter(Boolean);
    if (lists.length === 1 && wanted.length === shown.size && wanted.every((id) => shown.has(id))) {
      const [list] = lists;
      wanted.forEach((id, i) => { if (list.children[i] !== shown.get(id)) list.insertBefore(shown.get(id), list.children[i] || null); });
      return;
    }
    const region = view.closest("[data-live-region]");
    if (region) setTimeout(() => { stale.add(region.id); read(); }, Math.random() * 1000);
  }

  // paint gives every dot of a map its state, from one character each.
  function paint(view) {
    const words = view.dataset.words.split(" "), cells = view.dataset.cells;
    $$("[data-dots] .dots > a").forEach((dot, i) => {
      const state = words[parseInt(cells[i], 36)] || "unknown";
      if (state !== (dot.dataset.state || "online")) { dot.dataset.state = state; blink(dot); }
    });
  }

  function blink(element) {
    element.classList.remove("changed");
    requestAnimationFrame(() => element.classList.add("changed"));
  }

  // refresh reads the page again for the regions that depend on the topic; the topics of a quarter of a second are one
  // reading, however many come.
  const stale = new Set();
  let reading = false, planned;
  const read = () => { planned ??= setTimeout(readNow, 250); };
  async function readNow() {
    planned = undefined;
    if (document.hidden || reading || !stale.size) return;
    reading = true;
    const ids = [...stale];
    stale.clear();
    try {
      await reader(async (done) => {
        const answer = await fetch(location.href, { headers: asked });
        if (answer.status === 401) return location.reload();
        if (!answer.ok) return;
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of ids) {
          const old = document.getElementById(id), made = page.getElementById(id);
          if (old && made) morph(old, made);
        }
        retitle(page);
        done();
        changed();
      });
    } catch { ids.forEach((id) => stale.add(id)); } finally {
      reading = false;
      if (stale.size) setTimeout(read, 2000);
    }
  }
  function retitle(page) {
    document.title = page.title;
    const icon = $("link[rel=icon]"), made = $("link[rel=icon]", page);
    if (made && made.href !== icon.href) icon.href = made.href;
  }
  function refresh(topic) {
    const noun = topic.split("/")[0];
    for (const e of $$("[data-live-region]")) {
      const wanted = e.dataset.liveRegion.split(/\s+/);
      if (topic === "*" || wanted.includes(topic) || wanted.includes(noun)) stale.add(e.id);
    }
    read();
  }
  on("odcm:stale", () => refresh("*")); // another script knows that something changed
  on("visibilitychange", () => { if (!document.hidden) { freshen(); read(); } });

  // --- forms: sent by fetch, errors beside the fields ---

  on("submit", async (event) => {
    const form = event.target;
    if (form.matches("[data-theme-form]")) return setTheme(event);
    if (!form.matches("[data-enhance]") || form.method !== "post") return;
    event.preventDefault();
    const button = event.submitter;
    if (form.dataset.sending) return;
    form.dataset.sending = "1";
    button?.setAttribute("aria-busy", "true");
    complain(form, {});
    try {
      const data = new FormData(form, button);
      const files = form.enctype === "multipart/form-data";
      const answer = await fetch(form.action, { method: "POST", headers: asked, body: files ? data : new URLSearchParams(data) });
      const target = answer.headers.get("X-Odcm-Location");
      if (target) return go(target);
      if (answer.redirected) return go(answer.url);
      const kind = answer.headers.get("Content-Type") || "";
      if (kind.includes("problem+json")) complain(form, await answer.json());
      else if (kind.includes("html")) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        morph($("#main"), page.getElementById("main") || $("#main"));
      } else form.closest("dialog")?.close();
      changed();
    } catch {
      complain(form, { detail: "The server does not answer. Nothing was sent twice; try again." });
    } finally {
      delete form.dataset.sending;
      button?.removeAttribute("aria-busy");
    }
  });

  function go(address) {
    const url = new URL(address, location);
    if (url.origin !== location.origin && !url.protocol.startsWith("http")) return;
    if (url.href === location.href) location.reload();
    else location.assign(url);
  }

  function complain(form, problem) {
    $$("[aria-invalid]", form).forEach((e) => e.removeAttribute("aria-invalid"));
    $$("[data-error-for]", form).forEach((e) => { e.textContent = ""; });
    const rest = [];
    for (const { location: path, message } of problem.errors || []) {
      const name = path.replace(/^body\./, "");
      const place = $(`[data-error-for="${CSS.escape(name)}"]`, form);
      if (!place) { rest.push(message); continue; }
      place.textContent = message;
      const fold = place.closest("details");
      if (fold) fold.open = true;
      form.elements.namedItem(name)?.setAttribute?.("aria-invalid", "true");
    }
    const whole = problem.errors?.length && !rest.length ? "" : [problem.detail, ...rest].filter(Boolean).filter((m, i, all) => all.indexOf(m) === i).join(" ");
    const box = $("[data-form-error]", form);
    if (box) box.textContent = whole;
    else if (whole) toast("danger", whole);
    ($("[aria-invalid]", form) || (whole && box))?.focus?.();
  }
  on("input", (event) => {
    const field = event.target;
    field.dataset.touched = "1";
    field.removeAttribute("aria-invalid");
    if (field.dataset.mustEqual !== undefined) match(field);
    if (field.matches("[data-search]")) search(field);
  });
  on("change", (event) => { if (event.target.form?.matches("[data-filters]")) search(event.target); });
  const match = (field) => {
    for (const b of $$(".danger, .primary", field.form)) b.disabled = field.value !== field.dataset.mustEqual;
  };

  // visit reads another view of the same page and puts it in place; the address follows, so that it can be kept and shared.
  const visit = (url, how, still = () => true) => reader(async (done) => {
    const answer = await fetch(url, { headers: asked });
    if (answer.status === 401) return location.reload();
    const page = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    const made = page && $(".page", page);
    if (!made) return location.assign(url);
    if (!still()) return;
    retitle(page);
    if (how) history[how](null, "", url);
    since = page.body.dataset.since || since;
    morph($(".page"), made);
    done();
    changed();
  });

  // A search field shows what it finds while one types.
  let searching;
  const search = (field) => {
    clearTimeout(searching);
    searching = setTimeout(() => {
      const form = field.form;
      const url = new URL(form.action);
      url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      visit(url, "replaceState", () => new FormData(form).get(field.name) === (url.searchParams.get(field.name) || "")).catch(() => {});
    }, 180);
  };

  // Filters, groups and pages of a board lead to the same page: only what is different is put in place.
  on("click", (event) => {
    const link = event.target.closest("[data-soft] a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href.baseVal ?? link.href, location);
    if (url.origin !== location.origin || url.pathname !== location.pathname) return;
    event.preventDefault();
    visit(url, "pushState").then(() => { if (link.closest(".pager")) scrollTo({ top: 0 }); }).catch(() => location.assign(url));
  });
  addEventListener("popstate", () => { if ($("[data-soft]")) visit(location.href).catch(() => location.reload()); });

  // A wall has a clock, and may go on to its next page by itself.
  const clocks = () => $$("[data-clock]").forEach((e) => { e.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }); });
  clocks();
  setInterval(clocks, 1000);
  let shownFor = 0;
  setInterval(() => {
    const wall = $("[data-next]");
    if (!wall || document.hidden || ++shownFor < Number(wall.dataset.every)) return;
    shownFor = 0;
    visit(new URL(wall.dataset.next, location), "replaceState").then(clocks).catch(lost);
  }, 1000);

  // --- theme, dialogs, menus, copying ---

  function setTheme(event) {
    event.preventDefault();
    const theme = new FormData(event.target, event.submitter).get("theme");
    palette?.close();
    document.documentElement.dataset.theme = theme;
    document.cookie = `odcm-theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    for (const b of $$("[data-theme-form] [aria-pressed]")) b.setAttribute("aria-pressed", b.value === theme);
  }

  on("click", async (event) => {
    const at = (selector) => event.target.closest(selector);
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    const opener = at("[data-open]"), copy = at("[data-copy]");
    if (opener) {
      const menu = opener.closest("details.menu");
      if (menu) { menu.open = false; $("summary", menu).focus(); } // where the focus comes back to
      show(document.getElementById(opener.dataset.open));
    } else if (at("[data-close]")) at("dialog").close();
    else if (at("[data-dismiss]")) at(".toast").remove();
    else if (at("[data-palette]")) { event.preventDefault(); openPalette(); }
    else if (event.target.nodeName === "DIALOG") event.target.close(); // its backdrop
    else if (copy) {
      try {
        await navigator.clipboard.writeText(copy.dataset.copy);
        toast("success", "Copied.");
      } catch { toast("warning", "The browser did not let us copy. Select the text instead."); }
    }
  });

  function show(dialog) {
    if (!dialog || dialog.open) return;
    dialog.showModal();
    $$("[data-must-equal]", dialog).forEach(match);
  }

  function toast(tone, message) {
    const box = parse(`<div class="toast"><p></p><button type="button" class="icon-button" data-dismiss aria-label="Dismiss">×</button></div>`).firstElementChild;
    box.dataset.tone = tone;
    $("p", box).textContent = message;
    $("#toasts").append(box);
    expire(box);
  }
  const expire = (box) => setTimeout(() => { if (!box.matches(":hover, :focus-within")) box.remove(); else expire(box); }, 6000);

  // --- command palette ---

  const palette = $("#palette"), found = $("#choices");
  let chosen = 0, asking;
  function openPalette() {
    if (!palette || palette.open) return;
    palette.showModal();
    $("input", palette).value = "";
    find();
  }
  async function find() {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch("/switch?q=" + encodeURIComponent($("input", palette).value), { headers: asked, signal: asking.signal });
      if (answer.status === 401) return location.reload();
      found.innerHTML = answer.ok ? await answer.text() : "";
      choose(0);
    } catch { /* a newer question, or no answer: what was found before stays */ }
  }
  function choose(i) {
    const all = $$("[role=option]", found);
    $("#choices-count").textContent = all.length ? "" : "Nothing found.";
    if (!all.length) return;
    chosen = (i + all.length) % all.length;
    all.forEach((a, j) => a.setAttribute("aria-selected", j === chosen));
    all[chosen].scrollIntoView({ block: "nearest" });
    $("input", palette).setAttribute("aria-activedescendant", all[chosen].id);
  }
  palette?.addEventListener("input", wait(70, find));
  palette && $("[role=search]", palette).addEventListener("submit", (event) => { event.preventDefault(); $$("[role=option]", found)[chosen]?.click(); });
  palette?.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); choose(chosen + step); }
  });

  on("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (palette?.open) palette.close(); else openPalette();
    } else if (event.key === "Escape") {
      for (const menu of $$("details.menu[open]")) { menu.open = false; $("summary", menu).focus(); }
    } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, select, [contenteditable], dialog")) {
      const field = $("[data-search]");
      if (field) { event.preventDefault(); field.select(); }
    }
  });

  // --- times and logs ---

  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  function freshen() {
    for (const e of $$("time[data-relative]")) {
      const s = (Date.parse(e.dateTime) - Date.now()) / 1000;
      const [unit, size] = units.find(([, n]) => Math.abs(s) >= n) || units.at(-1);
      e.textContent = Math.abs(s) < 10 ? "just now" : words.format(Math.round(s / size), unit);
    }
    for (const e of $$("[data-follow]")) {
      if (e.dataset.read !== "1") e.scrollTop = e.scrollHeight; // until the reader scrolls up
    }
  }
  on("scroll", (event) => {
    const e = event.target;
    if (e.matches?.("[data-follow]")) e.dataset.read = e.scrollTop + e.clientHeight < e.scrollHeight - 30 ? "1" : "";
  }, true);

  // --- a map is one stop of the Tab key: arrows go from dot to dot, and each says how it is when it is reached ---

  const dotsOf = (map) => $$(".dots > a", map);
  function roam() {
    for (const map of $$("[data-dots]")) {
      const dots = dotsOf(map), at = dots.find((d) => d === document.activeElement) || dots[0];
      dots.forEach((d) => { d.tabIndex = d === at ? 0 : -1; });
    }
  }
  on("focusin", (event) => {
    const dot = event.target.closest?.("[data-dots] .dots > a");
    if (dot) dot.setAttribute("aria-label", dot.title + ", " + (dot.dataset.state || "online"));
  });
  on("keydown", (event) => {
    const dot = event.target.closest?.("[data-dots] .dots > a");
    if (!dot || event.ctrlKey || event.metaKey || event.altKey) return;
    const dots = dotsOf(dot.closest("[data-dots]")), i = dots.indexOf(dot);
    const machine = dot.closest(".machine"), beside = (e) => e && $(".dots > a", e);
    const to = {
      ArrowRight: dots[i + 1], ArrowLeft: dots[i - 1], Home: dots[0], End: dots.at(-1),
      ArrowDown: beside(machine.nextElementSibling), ArrowUp: beside(machine.previousElementSibling),
    }[event.key];
    if (!to) return;
    event.preventDefault();
    dot.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });

  function changed() { freshen(); roam(); connect(); }
  changed();
  setInterval(freshen, 15000);
  $$(".toast").forEach(expire);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { streamed = ""; changed(); } });
})();
