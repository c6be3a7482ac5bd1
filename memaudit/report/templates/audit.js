"use strict";
(function () {
  const $ = id => document.getElementById(id);
  const data = JSON.parse($("findings-data").textContent);
  const all = data.rows.map(row => Object.fromEntries(data.fields.map((name, i) => [name, row[i] ?? (i < row.length ? null : "")])));
  all.forEach((card, i) => { card.group ||= card.reference_id; if (card.together === "=") card.together = all[i - 1].together; });
  const sources = data.pictures;
  for (const image of document.querySelectorAll("#findings img")) sources[image.dataset.name] = image.getAttribute("src");
  const SIZE = 100;
  const list = $("findings");
  const control = name => $("f-" + name);
  const { made, number } = Viewer;

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
  let chosen = all, page = 0;

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
      const found = Pairs.decision(card);
      if (review === "open" ? found.verdicts.size : review === "drawn" ? !Pairs.drawn(card) : review === "differ" ? !found.differ : !found.verdicts.has(review)) return false;
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
    return made("span", { textContent: path ? "the picture is beside the page: " + path : "picture not available: the run kept none" });
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
      frame.addEventListener("click", () => Pairs.look(i));
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
    Pairs.put(card, node.querySelector("[data-f=said]"), node.querySelector("[data-f=marks]"));
  }
  function headed(low, high) {
    const nodes = [], grouped = control("order").value === "gravest", kinds = new Map(data.kinds.map(kind => [kind[0], kind]));
    for (let i = low; i < high; i++) {
      const card = chosen[i], before = i > low ? chosen[i - 1] : null;
      const [, heading, about] = kinds.get(card.kind);
      if (grouped && !(before && before.kind === card.kind)) nodes.push(made("h3", {}, heading + " ", made("small", { textContent: about })));
      if (grouped && card.together && !(before && before.kind === card.kind && before.group === card.group)) nodes.push(made("p", { className: "small", textContent: card.together }));
      const node = built(card, i);
      if (grouped && before && before.together && before.group !== card.group) node.firstElementChild.classList.add("apart");
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
    Pairs.reset();
    show(false);
  }
  // One pair, enlarged
  const shownPair = card => ({
    query: sources[card.query_picture], reference: sources[card.reference_picture], roles: ["generation", "training image"], run: "audit",
    labels: SIDES.map(([side, what]) => what + " " + card[side + "_id"]), matrix: card.matrix, query_box: card.query_box, reference_box: card.reference_box,
    absent: side => absent(card[side + "_picture"])
  });
  function here(i, enlarged) {
    if (Math.floor(i / SIZE) !== page) {
      page = Math.floor(i / SIZE);
      show(false);
    }
    for (const article of list.querySelectorAll("article")) {
      const own = Number(article.dataset.at) === i;
      article.classList.toggle("here", own);
      if (own && !enlarged) {
        article.focus({ preventScroll: true });
        article.scrollIntoView({ block: "nearest" });
      }
    }
  }
  document.addEventListener("error", event => {
    if (!(event.target instanceof HTMLImageElement) || !data.beside) return;
    $("missing").hidden = false;
    const frame = event.target.closest(".shot");
    if (frame) frame.replaceWith(made("span", { textContent: "missing: " + event.target.getAttribute("src") }));
  }, true);

  Pairs.begin({
    key: data.report, all, chosen: () => chosen, here, pair: shownPair, veiled: data.veiled,
    title: card => card.tags.join(", ") + ", similarity " + card.similarity.toFixed(3),
    about: card => "generation " + card.query_id + " · training image " + card.reference_id + (card.prompt ? " · " + card.prompt : ""),
    changed: () => { for (const article of list.querySelectorAll("article")) decided(article, chosen[article.dataset.at]); }
  });
  for (const name of ["kind", "view", "relation"]) choices(name);
  control("out").closest("label").hidden = !all.some(card => card.q !== null);
  for (const name of ["kind", "view", "relation", "review", "order", "out"]) control(name).addEventListener("change", again);
  for (const name of ["text", "least"]) control(name).addEventListener("input", again);
  for (const [name, by] of [["back", -1], ["on", 1]]) {
    for (const button of document.querySelectorAll(".pager ." + name)) button.addEventListener("click", () => { page += by; show(true); });
  }
  $("filters").hidden = false;
  for (const line of document.querySelectorAll(".without-script")) line.hidden = true;
  again();
  Pairs.renew();
})();
