"use strict";
(function () {
  const $ = id => document.getElementById(id);
  const data = JSON.parse($("findings-data").textContent);
  const all = data.rows.map(row => Object.fromEntries(data.fields.map((name, i) => [name, row[i]])));
  const sources = data.pictures;
  for (const image of document.querySelectorAll("#findings img")) sources[image.dataset.name] = image.getAttribute("src");
  const SIZE = 100, VERDICTS = ["copy", "not a copy", "accepted", "unsure"];
  const list = $("findings"), viewer = $("viewer");
  const control = name => $("f-" + name);
  const number = value => value.toLocaleString("en");
  const made = (name, properties, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };

  // What people say of a pair: lines of reviews.jsonl, in the page's own storage
  const KEY = "memaudit reviews of " + data.report;
  let lines = [], who = "";
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
  }
  function stored() {
    try {
      lines = JSON.parse(localStorage.getItem(KEY) || "[]");
      who = localStorage.getItem("memaudit reviewer") || "";
    } catch { note("This browser keeps nothing for this page: save reviews.jsonl before you close it."); }
  }
  function store() {
    gather();
    try {
      localStorage.setItem(KEY, JSON.stringify(lines));
      localStorage.setItem("memaudit reviewer", who);
    } catch { note("This browser keeps nothing for this page: save reviews.jsonl before you close it."); }
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
    if (!who.trim()) {
      note("Whose verdict is it? Enter your name.");
      return (viewer.open ? $("v-who") : $("r-who")).focus();
    }
    const open = viewer.open && card === chosen[at], until = open ? $("v-until").value : "", why = open ? $("v-why").value.trim() : "";
    if (verdict === "accepted" && !(until && why)) {
      if (!viewer.open) look(chosen.indexOf(card));
      note("Accepted needs a reason, and a day until which it holds.");
      return (why ? $("v-until") : $("v-why")).focus();
    }
    const [left_sha256, right_sha256, kind] = pair.split(" ");
    lines = lines.filter(line => !(line.verdict && line.who.toLowerCase() === who.toLowerCase() && pairIn(line) === pair));
    if (verdict) {
      const when = new Date().toISOString().slice(0, 19) + "Z", last = verdict === "accepted" ? until : null;
      lines.push({ left_sha256, right_sha256, verdict, who, when, why, until: last, ...(kind && { kind }), ...drawn.get(pair) });
    }
    note("");
    store();
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
      try { line = JSON.parse(row); } catch { line = {}; }
      const pair = [line.left_sha256, line.right_sha256].map(digest => String(digest).toLowerCase()).sort();
      const verdict = String(line.verdict || "").toLowerCase().replaceAll("_", " ");
      if (!pair.every(digest => /^[0-9a-f]{64}$/.test(digest)) || !["", ...VERDICTS].includes(verdict)) return bad.push(i + 1);
      line = { ...line, left_sha256: pair[0], right_sha256: pair[1], verdict, who: String(line.who || "") };
      if (!lines.some(other => JSON.stringify(other) === JSON.stringify(line))) lines.push(line);
    });
    return bad.length ? name + ": not understood, and left out: line " + bad.slice(0, 5).join(", ") + (bad.length > 5 ? " and " + (bad.length - 5) + " more" : "") + ". " : "";
  }
  async function load(files) {
    let wrong = "";
    for (const file of files) wrong += taken(await file.text(), file.name);
    store();
    renew();
    note(wrong);
  }

  // Which findings, in which order
  const text = card => [card.prompt, card.caption, card.query_id, card.reference_id].join("\n").toLowerCase();
  const texts = new Map(all.map(card => [card, text(card)]));
  const last = value => value === null ? Infinity : value;
  const alphabetic = name => (a, b) => a[name] < b[name] ? -1 : a[name] > b[name] ? 1 : 0;
  const orders = {
    gravest: () => 0,
    similarity: (a, b) => b.similarity - a.similarity,
    weakest: (a, b) => a.similarity - b.similarity,
    copies: (a, b) => b.near_duplicates - a.near_duplicates,
    ratio: (a, b) => last(a.ratio) - last(b.ratio),
    prompt: alphabetic("prompt"),
    generation: alphabetic("query_id")
  };
  let chosen = all, page = 0, at = -1;

  function choices(name) {
    const count = new Map();
    for (const card of all) if (card[name]) count.set(card[name], (count.get(card[name]) || 0) + 1);
    for (const [value, n] of count) control(name).add(new Option(value + " (" + number(n) + ")", value));
    control(name).closest("label").hidden = count.size === 0 || (count.size === 1 && count.values().next().value === all.length);
  }
  function passes(card) {
    for (const name of ["kind", "view", "relation"]) if (control(name).value && card[name] !== control(name).value) return false;
    if (card.similarity < Number(control("least").value)) return false;
    if (control("out").checked && !(card.q !== null && card.q <= 0.05)) return false;
    const review = control("review").value;
    if (review) {
      const found = decision(card);
      if (review === "open" ? found.verdicts.size : review === "drawn" ? !drawn.has(pairOf(card)) : review === "differ" ? !found.differ : !found.verdicts.has(review)) return false;
    }
    return texts.get(card).includes(control("text").value.trim().toLowerCase());
  }

  // Cards
  function put(node, name, value) {
    const place = node.querySelector("[data-f=" + name + "]");
    place.textContent = value;
    place.hidden = !value;
  }
  function absent(path) {
    return made("span", { textContent: path ? "the picture is beside the page: " + path : "picture not available" });
  }
  function picture(card, side, what) {
    const path = card[side + "_picture"], box = card[side + "_box"];
    if (!sources[path]) return absent(path);
    const shot = made("span", { className: "shot" }, made("img", { alt: what + " " + card[side + "_id"], src: sources[path] }));
    if (box) {
      const frame = made("i", {});
      const share = value => 100 * value + "%";
      Object.assign(frame.style, { left: share(box[0]), top: share(box[1]), width: share(box[2] - box[0]), height: share(box[3] - box[1]) });
      shot.append(frame);
    }
    return shot;
  }
  const SIDES = [["query", "generation"], ["reference", "training image"]];
  function built(card, i) {
    const node = $("card").content.cloneNode(true), article = node.querySelector("article");
    article.classList.toggle("veiled", data.veiled);
    article.dataset.at = i;
    put(node, "similarity", card.similarity.toFixed(3));
    for (const name of ["query_id", "reference_id", "prompt", "facts"]) put(node, name, card[name]);
    node.querySelector("[data-f=tags]").append(...card.tags.map(tag => made("span", { className: "tag", textContent: tag })));
    for (const [side, what] of SIDES) {
      const frame = node.querySelector("[data-f=" + side + "_picture]");
      frame.setAttribute("aria-label", "look closer: " + what + " " + card[side + "_id"]);
      frame.append(picture(card, side, what));
      frame.addEventListener("click", () => look(i));
    }
    if (card.reference_url) {
      const link = node.querySelector("[data-f=link]");
      link.hidden = false;
      link.append(made("a", { href: card.reference_url, rel: "noreferrer noopener", target: "_blank", textContent: "the training image’s file" }));
    }
    node.querySelector("[data-f=marks]").hidden = false;
    decided(node, card);
    return node;
  }
  function decided(node, card) {
    const found = decision(card);
    put(node, "said", [card.decided, found.words].filter(Boolean).join(" · "));
    node.querySelector("[data-f=said]").classList.toggle("warn", found.differ);
    node.querySelector("[data-f=marks]").replaceChildren(...marks(card));
  }
  function headed(low, high) {
    const nodes = [], grouped = control("order").value === "gravest", kinds = new Map(data.kinds.map(kind => [kind[0], kind]));
    for (let i = low; i < high; i++) {
      const card = chosen[i], before = i > low ? chosen[i - 1] : null;
      const [, heading, about] = kinds.get(card.kind);
      if (grouped && !(before && before.kind === card.kind)) nodes.push(made("h3", {}, heading + " ", made("small", { textContent: about })));
      if (grouped && card.shared > 1 && !(before && before.kind === card.kind && before.reference_id === card.reference_id)) {
        nodes.push(made("p", { className: "small" }, number(card.shared) + " of them repeat the training image ", made("b", { textContent: card.reference_id }), ":"));
      }
      const node = built(card, i);
      if (grouped && before && before.shared > 1 && before.reference_id !== card.reference_id) node.firstElementChild.classList.add("apart");
      nodes.push(node);
    }
    return nodes;
  }
  function show(top) {
    const low = page * SIZE, high = Math.min(low + SIZE, chosen.length);
    list.replaceChildren(...headed(low, high));
    const among = chosen.length === all.length ? "" : " (of " + number(all.length) + ")";
    $("f-shown").textContent = chosen.length ? number(low + 1) + " to " + number(high) + " of " + number(chosen.length) + among : "no finding passes the filter" + among;
    for (const bar of document.querySelectorAll(".pager")) {
      bar.hidden = chosen.length <= SIZE;
      bar.querySelector(".back").disabled = page === 0;
      bar.querySelector(".on").disabled = high >= chosen.length;
    }
    if (top) $("filters").scrollIntoView();
  }
  function again() {
    chosen = all.filter(passes).sort(orders[control("order").value]);
    page = 0;
    at = -1;
    show(false);
  }
  function renew() {
    for (const article of list.querySelectorAll("article")) decided(article, chosen[article.dataset.at]);
    const found = all.map(decision), differ = found.filter(each => each.differ).length;
    $("r-count").textContent = number(found.filter(each => each.verdicts.size).length) + " of " + number(all.length) + " decided" + (differ ? ", " + number(differ) + " disagree" : "");
    if (viewer.open) told();
  }

  // One pair, enlarged
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (name, attributes, ...children) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const boxed = (box, [w, h]) => box && $("v-boxes").checked ? [shape("rect", { x: box[0] * w, y: box[1] * h, width: (box[2] - box[0]) * w, height: (box[3] - box[1]) * h })] : [];
  const canvas = ([w, h], label, ...children) => shape("svg", { viewBox: "0 0 " + w + " " + h, role: "img", "aria-label": label }, ...children);
  const shotOf = (card, side, [width, height], more) => shape("image", { href: sources[card[side + "_picture"]], width, height, ...more });
  async function sizes(card) {
    return Promise.all(SIDES.map(async ([side]) => {
      const image = made("img", { src: sources[card[side + "_picture"]] || "" });
      try { await image.decode(); } catch { return null; }
      return [image.naturalWidth, image.naturalHeight];
    }));
  }
  function laid(card, query, reference) {
    const [q, r] = [Math.max(...query), Math.max(...reference)], m = card.matrix;
    const numbers = m ? [m[0] * r / q, m[3] * r / q, m[1] * r / q, m[4] * r / q, m[2] * r, m[5] * r] : [reference[0] / query[0], 0, 0, reference[1] / query[1], 0, 0];
    return "matrix(" + numbers.join(" ") + ")";
  }
  function stage(card, query, reference) {
    const mode = $("v-mode").value, both = query && reference;
    $("stage").className = mode === "pair" || !both ? "pair" : "";
    $("v-slider").hidden = mode !== "slider" || !both;
    if (mode === "pair" || !both) {
      $("v-how").textContent = "";
      return SIDES.map(([side, what], i) => {
        const size = [query, reference][i];
        return size ? canvas(size, what + " " + card[side + "_id"], shotOf(card, side, size, {}), ...boxed(card[side + "_box"], size)) : absent(card[side + "_picture"]);
      });
    }
    $("v-how").textContent = (card.matrix ? "The generation is laid on the training image as the audit aligned them" : "No alignment is stored: the generation is stretched over the training image") +
      { slider: ": left of the edge the training image, right of it the generation.", flicker: ", in turns.", difference: ": black where both are the same." }[mode];
    const over = shotOf(card, "query", query, { transform: laid(card, query, reference) });
    const [w, h] = reference, edge = mode === "slider" ? w * $("v-slider").value / 1000 : 0;
    const layer = shape("svg", { x: edge, y: 0, width: w - edge, height: h, viewBox: [edge, 0, w - edge, h].join(" "), class: mode }, over);
    const line = mode === "slider" ? [shape("rect", { x: edge, y: 0, width: 0.01, height: h })] : [];
    return [canvas(reference, "generation laid on the training image: " + mode, shotOf(card, "reference", reference, {}), layer, ...line, ...boxed(card.reference_box, reference))];
  }
  async function draw() {
    const card = chosen[at], [query, reference] = await sizes(card);
    if (card === chosen[at]) $("stage").replaceChildren(...stage(card, query, reference));
  }
  function told() {
    const card = chosen[at], found = decision(card);
    $("v-said").textContent = [card.decided, found.words].filter(Boolean).join(" · ") || "nobody has decided yet";
    $("v-said").classList.toggle("warn", found.differ);
    $("v-marks").replaceChildren(...marks(card));
  }
  function look(i) {
    if (i < 0 || i >= chosen.length) return;
    here(i);
    const card = chosen[i], own = decision(card).own;
    note("");
    viewer.classList.toggle("veiled", data.veiled);
    $("v-title").textContent = number(i + 1) + " of " + number(chosen.length) + ": " + card.tags.join(", ") + ", similarity " + card.similarity.toFixed(3);
    $("v-ids").textContent = "generation " + card.query_id + " · training image " + card.reference_id + (card.prompt ? " · " + card.prompt : "");
    $("v-why").value = own ? own.why || "" : "";
    $("v-until").value = own ? own.until || "" : "";
    $("v-back").disabled = i === 0;
    $("v-on").disabled = i === chosen.length - 1;
    if (!viewer.open) viewer.showModal();
    told();
    draw();
  }
  function here(i) {
    at = i;
    if (Math.floor(i / SIZE) !== page) {
      page = Math.floor(i / SIZE);
      show(false);
    }
    for (const article of list.querySelectorAll("article")) {
      const own = Number(article.dataset.at) === i;
      article.classList.toggle("here", own);
      if (own && !viewer.open) {
        article.focus({ preventScroll: true });
        article.scrollIntoView({ block: "nearest" });
      }
    }
  }
  function step(by) {
    const next = Math.min(Math.max(at + by, 0), chosen.length - 1);
    if (next < 0) return;
    if (viewer.open) look(next); else here(next);
  }

  document.addEventListener("keydown", event => {
    const on = event.target, typing = on.closest("input:not([type=checkbox]):not([type=range]),select:not(#v-mode),textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === " " && !on.closest("button,summary,a,input")) {
      if (viewer.open) viewer.close(); else look(Math.max(at, 0));
    } else if (/^[1-5]$/.test(event.key) && at >= 0) mark(chosen[at], VERDICTS[event.key - 1] || "");
    else return;
    event.preventDefault();
  });
  document.addEventListener("error", event => {
    if (!(event.target instanceof HTMLImageElement) || !data.beside) return;
    $("missing").hidden = false;
    const frame = event.target.closest(".shot");
    if (frame) frame.replaceWith(made("span", { textContent: "missing: " + event.target.getAttribute("src") }));
  }, true);

  stored();
  gather();
  for (const name of ["kind", "view", "relation"]) choices(name);
  control("out").closest("label").hidden = !all.some(card => card.q !== null);
  for (const name of ["kind", "view", "relation", "review", "order", "out"]) control(name).addEventListener("change", again);
  for (const name of ["text", "least"]) control(name).addEventListener("input", again);
  for (const [name, by] of [["back", -1], ["on", 1]]) {
    for (const button of document.querySelectorAll(".pager ." + name)) button.addEventListener("click", () => { page += by; show(true); });
    $("v-" + name).addEventListener("click", () => step(by));
  }
  for (const field of [$("r-who"), $("v-who")]) {
    field.value = who;
    field.addEventListener("input", () => { who = $("r-who").value = $("v-who").value = field.value; store(); renew(); });
  }
  $("r-save").addEventListener("click", save);
  $("r-load").addEventListener("click", () => $("r-files").click());
  $("r-files").addEventListener("change", event => load([...event.target.files]));
  $("v-close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", () => { if (at >= 0) here(at); });
  for (const name of ["v-mode", "v-boxes", "v-slider"]) $(name).addEventListener("input", draw);
  $("filters").hidden = $("reviewing").hidden = false;
  for (const line of document.querySelectorAll(".without-script")) line.hidden = true;
  again();
  renew();
})();
