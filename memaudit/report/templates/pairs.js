"use strict";
// What people say of pairs, kept in the page's own storage as lines of reviews.jsonl; and one pair enlarged
const Pairs = (function () {
  const $ = id => document.getElementById(id);
  const { made, number, named } = Viewer;
  const VERDICTS = ["copy", "not a copy", "accepted", "unsure"], BACK = "taken back";
  const viewer = $("viewer");
  let page, at = -1;

  // page: key (of the report), all (cards: query_sha256, reference_sha256, face, decided), chosen(), here(i, enlarged), title(card),
  // about(card), pair(card) for the viewer, changed(), veiled
  // What people say of a pair: lines of reviews.jsonl, in the page's own storage
  let lines = [], who = "", kept = true; // kept: the storage has all lines
  const said = new Map(), drawn = new Map(); // pair -> person -> latest line; pair -> how it came into a sample
  const pairOf = card => card.query_sha256 && card.reference_sha256 ? [...[card.query_sha256, card.reference_sha256].sort(), card.face ? "face" : ""].join(" ") : "";
  const pairIn = line => [line.left_sha256, line.right_sha256, line.kind === "face" ? "face" : ""].join(" ");
  const sameFile = card => card.query_sha256 === card.reference_sha256;
  const later = (one, other) => one.when && other.when && Date.parse(one.when) > Date.parse(other.when) ? one : other;
  function gather() {
    said.clear();
    drawn.clear();
    for (const line of lines) {
      const pair = pairIn(line);
      if (line.frame) drawn.set(pair, { frame: line.frame, stratum: line.stratum, stratum_pairs: line.stratum_pairs });
      if (!line.verdict) continue;
      if (!said.has(pair)) said.set(pair, new Map());
      const people = said.get(pair), person = line.who.toLowerCase(), before = people.get(person);
      people.set(person, before ? later(before, line) : line);
    }
    for (const people of said.values()) for (const [person, line] of people) if (line.verdict === BACK) people.delete(person);
  }
  const signed = line => ({ ...line, who: named(String(line.who || "")) }); // as a person's other lines are
  const NOTHING_KEPT = "This browser keeps nothing for this page: save reviews.jsonl before you close it.";
  const key = () => "memaudit reviews of " + page.key;
  function storing(action) {
    try { action(); } catch { note(NOTHING_KEPT); }
  }
  function once(all) {
    return [...new Map(all.map(line => [JSON.stringify(line), line])).values()];
  }
  // Before each change anew: pages of this report may lie open in several tabs
  function stored() {
    storing(() => {
      const there = localStorage.getItem(key());
      const others = there ? JSON.parse(there).map(signed) : [];
      if (there) lines = kept ? others : once([...others, ...lines]);
    });
    gather();
  }
  function store() {
    gather();
    kept = false;
    storing(() => {
      localStorage.setItem(key(), JSON.stringify(lines));
      kept = true;
    });
  }
  function note(text) {
    $("r-note").textContent = $("v-note").textContent = text;
    $("r-note").hidden = !text;
  }
  function decision(card) {
    const found = [...(said.get(pairOf(card)) || new Map()).values()];
    const sure = new Set(found.map(line => line.verdict === "accepted" ? "copy" : line.verdict).filter(word => word !== "unsure"));
    const own = found.find(line => line.who.toLowerCase() === who.toLowerCase());
    const today = new Date().toISOString().slice(0, 10);
    const words = found.map(line => line.verdict + (line.until ? " until " + line.until + (line.until < today ? ", which is past" : "") : "") +
      " (" + line.who + (line.why ? ": " + line.why : "") + ")");
    if (sure.size > 1) words.unshift("People disagree");
    return { own, differ: sure.size > 1, verdicts: new Set(found.map(line => line.verdict)), words: words.join(" · ") };
  }
  function mark(card, verdict) {
    const pair = pairOf(card);
    if (!pair) return note("The digests of these files are not known: this pair cannot be reviewed.");
    if (sameFile(card) && verdict === "not a copy") return note("Both are the same file, byte by byte: that is a copy.");
    if (!who) {
      note("Whose verdict is it? Enter your name.");
      return (viewer.open ? $("v-who") : $("r-who")).focus();
    }
    const open = viewer.open && card === page.chosen()[at], until = open ? $("v-until").value : "", why = open ? $("v-why").value.trim() : "";
    if (verdict === "accepted" && !(until && why)) {
      if (!viewer.open) look(page.chosen().indexOf(card));
      note("Accepted needs a reason, and a day until which it holds.");
      return (why ? $("v-until") : $("v-why")).focus();
    }
    const [left_sha256, right_sha256, kind] = pair.split(" ");
    note("");
    stored();
    const others = lines.filter(line => !(line.verdict && line.who.toLowerCase() === who.toLowerCase() && pairIn(line) === pair));
    // What was taken back may stand in a file that was saved before: a line says so there too
    if (verdict || others.length < lines.length) {
      const when = new Date().toISOString().slice(0, 19) + "Z", last = verdict === "accepted" ? until : null;
      lines = [...others, { left_sha256, right_sha256, verdict: verdict || BACK, who, when, why: verdict && why, until: last, ...(kind && { kind }), ...drawn.get(pair) }];
      store();
    }
    renew();
  }
  function marks(card) {
    const own = decision(card).own;
    return [...VERDICTS, ...(own ? [""] : [])].map((verdict, i) => {
      const button = made("button", { type: "button", textContent: verdict || "take back", title: "key " + (i + 1), disabled: !pairOf(card) || (sameFile(card) && verdict === "not a copy") });
      if (verdict) button.setAttribute("aria-pressed", String(Boolean(own && own.verdict === verdict)));
      button.addEventListener("click", () => mark(card, verdict));
      return button;
    });
  }
  const escaped = sign => "\\u" + sign.charCodeAt(0).toString(16).padStart(4, "0"); // what some take for a line's end
  function save() {
    const text = lines.map(line => JSON.stringify(line).replace(/[\u0085\u2028\u2029]/g, escaped) + "\n").join("");
    const link = made("a", { href: URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" })), download: "reviews.jsonl" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  function taken(text, name) {
    const bad = [];
    text.split(/\r?\n/).forEach((row, i) => {
      if (!row.trim()) return;
      let line;
      try { line = Object(JSON.parse(row)); } catch { line = {}; }
      const pair = [line.left_sha256, line.right_sha256].map(digest => String(digest).toLowerCase()).sort();
      const verdict = String(line.verdict || "").toLowerCase().replaceAll("_", " ");
      if (!pair.every(digest => /^[0-9a-f]{64}$/.test(digest)) || !["", ...VERDICTS, BACK].includes(verdict)) return bad.push(i + 1);
      lines.push({ ...signed(line), left_sha256: pair[0], right_sha256: pair[1], verdict });
    });
    return bad.length ? name + ": not understood, and left out: line " + bad.slice(0, 5).join(", ") + (bad.length > 5 ? " and " + (bad.length - 5) + " more" : "") + ". " : "";
  }
  async function load(files) {
    let wrong = "";
    const texts = await Promise.all(files.map(file => file.text()));
    stored();
    texts.forEach((text, i) => { wrong += taken(text, files[i].name); });
    lines = once(lines);
    store();
    renew();
    note(wrong + (kept ? "" : NOTHING_KEPT));
  }

  function draw() {
    const card = page.chosen()[at];
    return Viewer.draw(page.pair(card), () => card === page.chosen()[at]);
  }
  function told() {
    const card = page.chosen()[at], found = decision(card);
    $("v-said").textContent = [card.decided, found.words].filter(Boolean).join(" · ") || "nobody has decided yet";
    $("v-said").classList.toggle("warn", found.differ);
    $("v-marks").replaceChildren(...marks(card));
  }
  function look(i) {
    if (i < 0 || i >= page.chosen().length) return;
    at = i;
    page.here(i, viewer.open);
    const card = page.chosen()[i], own = decision(card).own;
    note("");
    viewer.classList.toggle("veiled", Boolean(page.veiled));
    $("v-title").textContent = number(i + 1) + " of " + number(page.chosen().length) + ": " + page.title(card);
    $("v-ids").textContent = page.about(card);
    $("v-why").value = own ? own.why || "" : "";
    $("v-until").value = own ? own.until || "" : "";
    $("v-back").disabled = i === 0;
    $("v-on").disabled = i === page.chosen().length - 1;
    if (!viewer.open) viewer.showModal();
    told();
    draw();
  }
  function renew() {
    const once = [...new Map(page.all.map((card, i) => [pairOf(card) || i, card])).values()]; // a pair may stand in two places
    const found = once.map(decision), differ = found.filter(each => each.differ).length;
    $("r-count").textContent = number(found.filter(each => each.verdicts.size).length) + " of " + number(once.length) + " decided" + (differ ? ", " + number(differ) + " disagree" : "");
    page.changed();
    if (viewer.open) told();
  }
  function step(by) {
    const next = Math.min(Math.max(at + by, 0), page.chosen().length - 1);
    if (next < 0) return;
    if (viewer.open) look(next);
    else { at = next; page.here(next, false); }
  }

  document.addEventListener("keydown", event => {
    const on = event.target, typing = on.closest("input:not([type=checkbox]):not([type=range]),select:not(#v-mode),textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === " " && !on.closest("button,summary,a,input")) {
      if (viewer.open) viewer.close(); else look(Math.max(at, 0));
    } else if (/^[1-5]$/.test(event.key) && at >= 0) mark(page.chosen()[at], VERDICTS[event.key - 1] || "");
    else return;
    event.preventDefault();
  });
  function begin(given) {
    page = given;
    stored();
    storing(() => { who = named(localStorage.getItem("memaudit reviewer") || ""); });
    window.addEventListener("storage", event => { if (event.key === key()) { stored(); renew(); } });
    for (const [name, by] of [["back", -1], ["on", 1]]) $("v-" + name).addEventListener("click", () => step(by));
    for (const field of [$("r-who"), $("v-who")]) {
      field.value = who;
      field.addEventListener("input", () => {
        $("r-who").value = $("v-who").value = field.value;
        who = named(field.value);
        storing(() => localStorage.setItem("memaudit reviewer", who));
        renew();
      });
    }
    $("r-save").addEventListener("click", save);
    $("r-load").addEventListener("click", () => $("r-files").click());
    $("r-files").addEventListener("change", event => load([...event.target.files]));
    $("v-close").addEventListener("click", () => viewer.close());
    viewer.addEventListener("close", () => { if (at >= 0) page.here(at, false); });
    for (const name of ["v-mode", "v-zoom", "v-boxes", "v-slider"]) $(name).addEventListener("input", draw);
    $("reviewing").hidden = false;
  }
  // Under a card: what is said of it, and the buttons that say it
  function put(card, line, buttons) {
    const found = decision(card);
    line.textContent = [card.decided, found.words].filter(Boolean).join(" · ");
    line.hidden = !line.textContent;
    line.classList.toggle("warn", found.differ);
    if (buttons) buttons.replaceChildren(...marks(card));
  }
  return { begin, renew, decision, put, look, drawn: card => drawn.has(pairOf(card)), reset: () => { at = -1; } };
})();
