"use strict";
(function () {
  const data = JSON.parse(document.getElementById("findings-data").textContent);
  const all = data.rows.map(row => Object.fromEntries(data.fields.map((name, i) => [name, row[i]])));
  const SIZE = 100;
  const list = document.getElementById("findings");
  const control = name => document.getElementById("f-" + name);
  const text = card => [card.prompt, card.caption, card.query_id, card.reference_id].join("\n").toLowerCase();
  const texts = all.map(text);
  const last = value => value === null ? Infinity : value;
  const orders = {
    similarity: (a, b) => b.similarity - a.similarity,
    weakest: (a, b) => a.similarity - b.similarity,
    copies: (a, b) => b.near_duplicates - a.near_duplicates,
    ratio: (a, b) => last(a.ratio) - last(b.ratio),
    prompt: (a, b) => a.prompt < b.prompt ? -1 : a.prompt > b.prompt ? 1 : 0,
    generation: (a, b) => a.query_id < b.query_id ? -1 : a.query_id > b.query_id ? 1 : 0
  };
  let chosen = all;
  let page = 0;

  function choices(name) {
    const count = new Map();
    for (const card of all) if (card[name]) count.set(card[name], (count.get(card[name]) || 0) + 1);
    for (const [value, n] of count) control(name).add(new Option(value + " (" + n.toLocaleString("en") + ")", value));
    control(name).closest("label").hidden = count.size === 0 || (count.size === 1 && count.values().next().value === all.length);
  }

  function passes(card, i) {
    for (const name of ["kind", "view", "relation"]) {
      if (control(name).value && card[name] !== control(name).value) return false;
    }
    if (card.similarity < Number(control("least").value)) return false;
    if (control("out").checked && !(card.q !== null && card.q <= 0.05)) return false;
    return texts[i].includes(control("text").value.trim().toLowerCase());
  }

  function put(node, name, value) {
    const place = node.querySelector("[data-f=" + name + "]");
    if (value) place.textContent = value;
    else place.hidden = true;
  }

  function picture(node, name, path) {
    const frame = node.querySelector("[data-f=" + name + "]");
    if (!path) return;
    const image = new Image();
    image.alt = "";
    image.loading = "lazy";
    image.src = path;
    frame.replaceChildren(image);
  }

  function built(card) {
    const node = document.getElementById("card").content.cloneNode(true);
    put(node, "similarity", card.similarity.toFixed(3));
    put(node, "query_id", card.query_id);
    put(node, "reference_id", card.reference_id);
    put(node, "prompt", card.prompt);
    put(node, "facts", card.facts);
    const tags = node.querySelector("[data-f=tags]");
    for (const tag of card.tags) {
      const span = document.createElement("span");
      span.className = "tag";
      span.textContent = tag;
      tags.append(span);
    }
    picture(node, "query_picture", card.query_picture);
    picture(node, "reference_picture", card.reference_picture);
    return node;
  }

  function show(top) {
    const low = page * SIZE, high = Math.min(low + SIZE, chosen.length);
    list.replaceChildren(...chosen.slice(low, high).map(built));
    const n = value => value.toLocaleString("en");
    const among = chosen.length === all.length ? "" : " (of " + n(all.length) + ")";
    document.getElementById("f-shown").textContent =
      chosen.length ? n(low + 1) + " to " + n(high) + " of " + n(chosen.length) + among : "no finding passes the filter" + among;
    for (const bar of document.querySelectorAll(".pager")) {
      bar.hidden = chosen.length <= SIZE;
      bar.querySelector(".back").disabled = page === 0;
      bar.querySelector(".on").disabled = high >= chosen.length;
    }
    if (top) document.getElementById("filters").scrollIntoView();
  }

  function again() {
    chosen = all.filter(passes).sort(orders[control("order").value]);
    page = 0;
    show(false);
  }

  for (const name of ["kind", "view", "relation"]) choices(name);
  control("out").closest("label").hidden = !all.some(card => card.q !== null);
  for (const name of ["kind", "view", "relation", "order", "out"]) control(name).addEventListener("change", again);
  for (const name of ["text", "least"]) control(name).addEventListener("input", again);
  for (const [name, step] of [["back", -1], ["on", 1]]) {
    for (const button of document.querySelectorAll(".pager ." + name)) {
      button.addEventListener("click", () => { page += step; show(true); });
    }
  }
  document.getElementById("filters").hidden = false;
  for (const note of document.querySelectorAll(".without-script")) note.hidden = true;
  again();
})();
