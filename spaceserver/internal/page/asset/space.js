// What the Space server's pages do beyond the design's script: follow a task's log, show the fields that a choice needs,
// type code. Pages work without it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  document.documentElement.dataset.script = "on";

  // --- addresses of documents: /app#/Spaces-1/projects/Projects-1 ---

  const forward = $("[data-forward]");
  if (forward) {
    const path = location.hash.replace(/^#\/?/, "");
    if (/^Spaces-\d+(\/[\w\-\/]*)?$/i.test(path)) location.replace("/app/" + path);
    else if (/^tasks\/[\w-]+$/i.test(path)) location.replace("/" + path);
    else location.replace(forward.dataset.forward);
  }

  // --- on a phone the side bar and tabs are rows that scroll: what is on is in sight ---

  const reveal = () => { for (const on of $$('nav [aria-current="page"]')) on.scrollIntoView({ block: "nearest", inline: "center" }); };
  addEventListener("resize", reveal);
  reveal();

  // --- fields that a choice needs: data-when="Type=A,B", data-unless="Type=A" ---

  function arrange(root = document) {
    for (const e of $$("[data-when], [data-unless]", root)) {
      const [name, values] = (e.dataset.when || e.dataset.unless).split("=");
      const field = e.closest("form")?.elements.namedItem(name);
      const fits = field && values.split(",").includes(field.value);
      e.hidden = e.dataset.when !== undefined ? !fits : fits;
    }
  }
  document.addEventListener("change", (event) => {
    const field = event.target;
    arrange();
    if (field.dataset.reload) {
      const url = new URL(location);
      url.searchParams.set(field.dataset.reload, field.value);
      location.assign(url);
    }
    if (field.form?.matches("[data-reload-form]")) {
      const url = new URL(field.form.action);
      url.search = new URLSearchParams(new FormData(field.form));
      location.replace(url);
    }
  });
  arrange();

  // --- code: the tab key indents, and Escape before it leaves the field ---

  let leaving = false;
  document.addEventListener("keydown", (event) => {
    const area = event.target;
    if (!area.matches?.("textarea[data-code]")) return;
    if (event.key === "Escape") leaving = true;
    else if (event.key === "Tab" && !event.shiftKey && !leaving) {
      event.preventDefault();
      area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
      area.dataset.touched = "1";
    } else if (event.key !== "Tab") leaving = false;
  });
  document.addEventListener("focusin", () => { leaving = false; });

  // --- a task's log ---

  const box = $("[data-log]");
  if (box) follow(box);

  function follow(box) {
    const kept = 1000; // lines of each node in the page; the raw log has all
    const states = { Pending: "waiting", Running: "running", Success: "succeeded", SuccessWithWarning: "warnings", Failed: "failed", Canceled: "canceled", Skipped: "skipped" };
    const tones = { Warning: "warning", Error: "danger", Fatal: "danger", Highlight: "accent", Wait: "progress", Verbose: "neutral" };
    const marks = new Map($$(".step-mark", $("#log-marks").content).map((m) => [m.dataset.state, m]));
    const top = document.createElement("ol");
    top.className = "nodes";
    const nodes = new Map();
    let shown = false, drawing = false, waiting = new Set();

    function open(entry) {
      let n = nodes.get(entry.n);
      if (n) {
        if (entry.o) { n.ended = 0; mark(n, "Running"); }
        return n;
      }
      const li = document.createElement("li");
      li.innerHTML = '<details><summary><b></b><span class="faint percent"></span></summary><div class="lines"></div><ol class="nodes"></ol></details>';
      const above = nodes.get(entry.p);
      n = { details: li.firstChild, summary: $("summary", li), took: $(".percent", li), lines: $(".lines", li), below: $(".nodes", li), started: entry.t, ended: 0, pending: [], dropped: 0, top: !above, touched: false };
      $("b", li).textContent = entry.o || entry.n;
      n.summary.addEventListener("click", () => { n.touched = true; });
      n.details.open = true;
      nodes.set(entry.n, n);
      mark(n, "Running");
      (above ? above.below : top).append(li);
      return n;
    }

    function mark(n, status) {
      const state = states[status] || "waiting";
      $(".step-mark", n.summary)?.remove();
      const m = marks.get(state);
      if (m) n.summary.prepend(m.cloneNode(true));
      n.status = status;
      if (!n.touched && !n.top) n.details.open = !["Success", "Skipped", "Pending"].includes(status);
    }

    // Lines come too fast to be read out: those who listen hear how steps end.
    const said = $("[data-log-said]");
    function tell(n) {
      said.textContent = $("b", n.summary).textContent + ": " + ($(".step-mark", n.summary)?.textContent.trim() || n.status);
    }

    const took = (ms) => ms < 1000 ? ms + " ms" : ms < 10000 ? (Math.floor(ms / 100) / 10).toFixed(1) + " s" : ms < 60000 ? Math.floor(ms / 1000) + " s" :
      ms < 3600000 ? Math.floor(ms / 60000) + " min " + Math.floor(ms / 1000) % 60 + " s" : Math.floor(ms / 3600000) + " h " + Math.floor(ms / 60000) % 60 + " min";

    function take(entries) {
      for (const e of entries) {
        const n = open(e);
        if (e.c) {
          for (const text of e.m.split("\n")) n.pending.push({ at: e.t, category: e.c, text });
          if (n.pending.length > 2 * kept) n.dropped += n.pending.splice(0, n.pending.length - kept).length;
          waiting.add(n);
        } else if (e.e) {
          n.ended = e.t;
          mark(n, e.e);
          if (shown) tell(n); // what was over when the page was opened is not news
        }
      }
      if (!drawing) { drawing = true; requestAnimationFrame(draw); }
    }

    // draw puts the new lines in at once, a frame's worth at a time, and keeps each node to its last lines.
    function draw() {
      drawing = false;
      if (!shown) { shown = true; box.replaceChildren(top); }
      const atEnd = $("[data-log-follow]").checked;
      let budget = 2000;
      for (const n of [...waiting]) {
        const some = n.pending.splice(0, budget);
        budget -= some.length;
        const part = document.createDocumentFragment();
        for (const l of some) part.append(line(l));
        n.lines.append(part);
        let over = n.lines.children.length - kept;
        if (over > 0) {
          while (over-- > 0) { n.lines.firstChild.remove(); n.dropped++; }
        }
        if (n.dropped) n.lines.dataset.dropped = n.dropped + " earlier lines are in the raw log";
        if (!n.pending.length) waiting.delete(n);
        if (budget <= 0) break;
      }
      times();
      if (atEnd) box.scrollTop = box.scrollHeight;
      if (waiting.size) { drawing = true; requestAnimationFrame(draw); }
    }

    function line(l) {
      const p = document.createElement("p"), t = document.createElement("time"), s = document.createElement("span"), at = new Date(l.at);
      p.dataset.tone = tones[l.category] || "";
      p.dataset.category = l.category;
      t.dateTime = at.toISOString();
      t.textContent = t.dateTime.slice(11, 19);
      s.textContent = l.text;
      p.append(t, s);
      return p;
    }

    function times() {
      for (const n of nodes.values()) {
        const until = n.ended || (over ? 0 : Date.now());
        const text = until ? took(Math.max(0, until - n.started)) : "";
        if (n.took.textContent !== text) n.took.textContent = text;
      }
    }

    let over = false;
    const ticking = setInterval(times, 1000);
    const stream = new EventSource(box.dataset.log);
    stream.addEventListener("log", (e) => take(JSON.parse(e.data)));
    stream.addEventListener("state", () => document.dispatchEvent(new Event("odcm:stale")));
    stream.addEventListener("end", () => {
      over = true;
      stream.close();
      clearInterval(ticking);
      for (const n of nodes.values()) if (n.status === "Running" && !n.ended) mark(n, "Canceled");
      times();
      document.dispatchEvent(new Event("odcm:stale"));
    });
    addEventListener("pagehide", () => stream.close());

    // Whoever scrolls up wants to read; whoever comes back to the end, to follow.
    box.addEventListener("wheel", (e) => { if (e.deltaY < 0) $("[data-log-follow]").checked = false; }, { passive: true });
    box.addEventListener("keydown", (e) => { if (["ArrowUp", "PageUp", "Home"].includes(e.key)) $("[data-log-follow]").checked = false; });
    box.addEventListener("scroll", () => { if (box.scrollTop + box.clientHeight >= box.scrollHeight - 4 && !over) $("[data-log-follow]").checked = true; });
    $("[data-log-follow]").addEventListener("change", (e) => { if (e.target.checked) box.scrollTop = box.scrollHeight; });
    const verbose = $("[data-log-verbose]");
    verbose.addEventListener("change", () => box.toggleAttribute("data-verbose", verbose.checked));
    const all = $("[data-log-all]");
    all.addEventListener("click", () => {
      const folded = $$("details:not([open])", box).length > 0;
      for (const d of $$("details", box)) d.open = folded;
      for (const n of nodes.values()) n.touched = true;
      $("span", all).textContent = folded ? "Collapse all" : "Expand all";
    });
    if ($("[data-log-follow]").checked) box.scrollTop = box.scrollHeight;
  }
})();
