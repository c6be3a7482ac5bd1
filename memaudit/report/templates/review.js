"use strict";
(function () {
  const $ = id => document.getElementById(id);
  const { made, number, named } = Viewer;
  const data = JSON.parse($("review-data").textContent);
  const VERDICTS = ["copy", "not a copy", "accepted", "unsure"], BACK = "taken back";
  const MODES = ["pair", "slider", "flicker", "difference"];
  let state = null, member = 0; // the sheet on the desk, and which of its pictures is compared
  const undone = []; // what undo takes back, the last decision last
  const pace = []; // milliseconds from decision to decision
  let last = 0, accepted = null; // when the last decision was made; reason and day of the last acceptance

  history.replaceState(null, "", "/"); // the token is good once, and no part of an address that is kept
  const kept = (name, value) => {
    try {
      if (value !== undefined) localStorage.setItem("memaudit " + name, value);
      return localStorage.getItem("memaudit " + name) || "";
    } catch { return ""; }
  };
  const who = () => named($("who").value);
  const same = (one, other) => one.toLowerCase() === other.toLowerCase();
  const current = () => state.sheet.members[member];
  const own = of => of.said.find(line => same(line.who, who()));
  const address = (of, size) => "/picture/" + of.picture + "/" + size;

  function note(text) {
    $("note").textContent = text;
    $("note").hidden = !text;
  }
  async function asked(path, options) {
    let answer;
    try { answer = await fetch(path, options); } catch { throw new Error("The server does not answer: was memaudit review ended? What was decided is in its file."); }
    if (answer.ok) return answer.json();
    const told = await answer.text();
    let why = told;
    try { why = JSON.parse(told).error; } catch { /* a plain text */ }
    throw new Error(why);
  }
  // One thing at a time: a key that is pressed before the next pair stands there is not about it
  let busy = false;
  const guarded = action => async (...given) => {
    if (busy) return;
    busy = true;
    $("sheet").setAttribute("aria-busy", "true");
    try { await action(...given); } catch (error) { note(error.message); }
    busy = false;
    $("sheet").setAttribute("aria-busy", "false");
  };

  // A sheet
  async function go(from, step) {
    const found = await asked("/api/sheet?" + new URLSearchParams({ from, step, which: $("which").value, who: who() }));
    progress(found.progress);
    if (!found.sheet && state && found.left) return note(step > 0 ? "That was the last one." : "That was the first one.");
    note("");
    state = found.sheet ? found : null;
    $("sheet").hidden = !state;
    $("done").hidden = Boolean(state);
    if (!state) return finished(found);
    const open = state.sheet.members.findIndex(of => of.pair && !own(of));
    member = $("which").value === "open" && open >= 0 ? open : 0;
    shown();
    prepare(found.at + 1);
  }
  function finished(found) {
    const open = found.progress.pairs - found.progress.own;
    $("d-text").textContent = $("which").value === "open" && who() ? "You have decided all of it: " + number(found.progress.own) + (found.progress.own === 1 ? " pair." : " pairs.") + " All is in the file." :
      "No pair is of this kind." + (open ? " " + number(open) + " are not decided by you." : "");
  }
  async function prepare(from) { // the server makes the next pictures meanwhile
    try {
      const next = await asked("/api/sheet?" + new URLSearchParams({ from, step: 1, which: $("which").value, who: who() }));
      if (next.sheet) for (const of of [next.sheet.anchor, next.sheet.members[0]]) made("img", { src: address(of, "large") });
    } catch { /* it will say so when it is asked for */ }
  }
  function shown() {
    const sheet = state.sheet, several = sheet.members.length > 1;
    $("sheet").classList.toggle("veiled", data.veiled);
    $("s-title").textContent = number(state.at + 1) + " of " + number(state.sheets) + (sheet.title ? ": " + sheet.title : "") + (several ? ", picture " + (member + 1) + " of " + sheet.members.length : "");
    $("strip").hidden = !several;
    if (several) strip(sheet);
    compared();
  }
  function compared() {
    const of = current(), said = own(of);
    $("c-member").textContent = of.image_id;
    $("c-anchor").textContent = state.sheet.anchor.image_id;
    $("s-tags").replaceChildren(...[...of.tags, ...(of.same_file ? ["the same file, byte by byte"] : [])].map(tag => made("span", { className: "tag", textContent: tag })));
    $("s-facts").textContent = [of.similarity === null ? "" : "similarity " + of.similarity.toFixed(3), of.facts, state.sheet.anchor.caption].filter(Boolean).join(" · ");
    $("why").value = said ? said.why || "" : "";
    $("until").value = said ? said.until || "" : "";
    told();
    draw();
  }
  function draw() {
    const of = current(), anchor = state.sheet.anchor, lies = of.lies || {};
    const drawn = Viewer.draw({
      query: address(of, "large"), reference: address(anchor, "large"), roles: [data.roles.member, data.roles.anchor],
      labels: [data.roles.member + " " + of.image_id, data.roles.anchor + " " + anchor.image_id], matrix: lies.matrix, query_box: lies.query_box, reference_box: lies.reference_box,
      absent: side => missing(side === "query" ? of : anchor)
    }, () => state && of === current());
    return drawn;
  }
  function missing(of) {
    const line = made("span", { textContent: "picture not available" });
    asked(address(of, "large")).catch(error => { line.textContent = "picture not available: " + error.message; });
    return line;
  }
  function words(of) {
    const found = of.said.filter(line => $("others").checked || own(of) || same(line.who, who()));
    const today = new Date().toISOString().slice(0, 10);
    const each = found.map(line => line.verdict + (line.until ? " until " + line.until + (line.until < today ? ", which is past" : "") : "") + " (" + line.who + (line.why ? ": " + line.why : "") + ")");
    return (of.differ && found.length > 1 ? ["People disagree"] : []).concat(each).join(" · ");
  }
  function told() {
    const of = current(), said = own(of);
    $("s-said").textContent = words(of) || (of.said.length ? "somebody has decided; you have not yet" : "nobody has decided yet");
    $("s-said").classList.toggle("warn", of.differ && $("s-said").textContent.startsWith("People"));
    $("marks").replaceChildren(...[...VERDICTS, ...(said ? [BACK] : [])].map((verdict, i) => {
      const button = made("button", { type: "button", textContent: verdict === BACK ? "take back" : verdict, title: "key " + (i + 1), disabled: !of.pair || (of.same_file && verdict === "not a copy") });
      if (verdict !== BACK) button.setAttribute("aria-pressed", String(Boolean(said && said.verdict === verdict)));
      button.addEventListener("click", () => mark(verdict));
      return button;
    }));
    const open = state.sheet.members.filter(each => each.pair && !own(each)), rest = made("button", { type: "button", textContent: "all " + open.length + " that are left: copies" });
    rest.addEventListener("click", guarded(() => decide(open, "copy")));
    $("rest").replaceChildren(...(state.sheet.members.length > 1 && open.length > 1 ? [rest] : []));
  }
  function strip(sheet) {
    $("strip").replaceChildren(...sheet.members.map((of, i) => {
      const said = own(of), image = made("img", { src: address(of, "small"), alt: data.roles.member + " " + of.image_id });
      const likely = of.similarity === null ? "" : of.similarity.toFixed(3) + " ";
      const button = made("button", { type: "button" }, made("span", { className: "frame" }, image), made("small", {}, likely, made("b", { textContent: said ? said.verdict : "" })));
      button.setAttribute("aria-pressed", String(i === member));
      button.addEventListener("click", () => { member = i; shown(); });
      return button;
    }));
  }

  // Decisions
  const mark = guarded(verdict => decide([current()], verdict));
  async function decide(members, verdict) {
    if (!who()) {
      note("Whose verdict is it? Enter your name.");
      return $("who").focus();
    }
    const why = members.length === 1 ? $("why").value.trim() : "", until = members.length === 1 ? $("until").value : "";
    if (verdict === "accepted" && !why && !until && accepted) {
      [$("why").value, $("until").value] = accepted;
      return note("As the last one? Accept again, or change the reason and the day.");
    }
    if (verdict === "accepted" && !(why && until)) {
      note("Accepted needs a reason, and a day until which it holds.");
      return (why ? $("until") : $("why")).focus();
    }
    const before = members.map(of => ({ of, line: own(of) })), at = state.at, place = member;
    await send(members, verdict, why, until);
    if (verdict === "accepted") accepted = [why, until];
    undone.push({ at, place, before: before.map(({ of, line }) => ({ pair: of.pair, line })), who: who() });
    $("undo").disabled = false;
    if (last) pace.push(Math.min(Date.now() - last, 120000));
    last = Date.now();
    if (pace.length > 20) pace.shift();
    const next = state.sheet.members.findIndex((of, i) => i > place && of.pair && !own(of));
    const any = state.sheet.members.findIndex(of => of.pair && !own(of));
    if (verdict === BACK || (next < 0 && any < 0 && $("which").value !== "open")) return shown();
    if (next >= 0 || any >= 0) {
      member = next >= 0 ? next : any;
      return shown();
    }
    await go(at + 1, 1);
    if (!state) await go(0, 1); // those that were passed over
  }
  async function send(members, verdict, why, until) {
    const body = JSON.stringify({ pairs: members.map(of => of.pair), verdict, who: who(), why, until });
    const found = await asked("/api/decide", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    note("");
    for (const of of members) Object.assign(of, found.said[of.pair]);
    progress(found.progress);
  }
  const undo = guarded(async () => {
    const step = undone.pop();
    if (!step) return;
    $("undo").disabled = !undone.length;
    if (!same(step.who, who())) return note("That was decided by " + step.who + ": only they can take it back.");
    for (const { pair, line } of step.before) await send([{ pair }], line ? line.verdict : BACK, line ? line.why || "" : "", line ? line.until || "" : "");
    const found = await asked("/api/sheet?" + new URLSearchParams({ from: step.at, step: 1, which: "all", who: who() }));
    state = found;
    member = step.place;
    $("sheet").hidden = false;
    $("done").hidden = true;
    shown();
  });
  function progress(found) {
    const left = found.pairs - found.own, others = Object.entries(found.people).filter(([name]) => !same(name, who()));
    $("p-bar").max = Math.max(found.pairs, 1);
    $("p-bar").value = found.own;
    const each = pace.length ? pace.reduce((a, b) => a + b, 0) / pace.length / 1000 : 0, minutes = Math.round(left * each / 60);
    $("p-text").textContent = [
      number(found.own) + " of " + number(found.pairs) + " pairs decided" + (who() ? " by you" : ""),
      ...(each && left ? [each.toFixed(each < 10 ? 1 : 0) + " s each, about " + (minutes < 1 ? "a minute" : minutes < 90 ? minutes + " min" : (minutes / 60).toFixed(1) + " h") + " left"] : []),
      ...others.map(([name, count]) => name + ": " + number(count)),
      ...(found.differ ? [number(found.differ) + " disagree"] : [])
    ].join(" · ");
  }
  function step(by) {
    const next = member + by;
    if (state && next >= 0 && next < state.sheet.members.length) {
      member = next;
      return shown();
    }
    return go(state ? state.at + by : by > 0 ? 0 : Number.MAX_SAFE_INTEGER, by);
  }
  const stepped = guarded(step);

  document.addEventListener("keydown", event => {
    const typing = event.target.closest("input:not([type=checkbox]):not([type=range]),textarea,select");
    if (event.key === "Escape" && typing) return event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "k") stepped(event.key === "j" ? 1 : -1);
    else if (event.key === "u") undo();
    else if (!state) return;
    else if (event.key === "m") {
      $("v-mode").value = MODES[(MODES.indexOf($("v-mode").value) + 1) % MODES.length];
      draw();
    } else if (/^[1-5]$/.test(event.key)) {
      if (current().pair && (event.key < 5 || own(current()))) mark([...VERDICTS, BACK][event.key - 1]);
    } else return;
    event.preventDefault();
  });
  $("who").value = data.who || kept("reviewer");
  $("which").addEventListener("change", guarded(() => go(0, 1)));
  $("who").addEventListener("input", () => { kept("reviewer", $("who").value); if (state) shown(); });
  $("who").addEventListener("change", guarded(async () => { if (!state || $("which").value === "open") await go(0, 1); else shown(); }));
  $("others").addEventListener("change", () => { if (state) told(); });
  for (const name of ["v-mode", "v-zoom", "v-boxes", "v-slider"]) $(name).addEventListener("input", () => { if (state) draw(); });
  $("undo").addEventListener("click", undo);
  $("back").addEventListener("click", () => stepped(-1));
  $("on").addEventListener("click", () => stepped(1));
  guarded(() => go(0, 1))();
})();
